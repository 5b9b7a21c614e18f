# One image for driver, Ray nodes, MLflow server and dashboard: the same pinned packages everywhere, none that only tests need.
#   docker build --target app -t ablate .
#   docker build --target gpu --build-arg UV_TORCH_BACKEND=cu130 -t ablate-gpu .
# The digest of the base image can be pinned without an edit: --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
# cpu, or a CUDA version such as cu130: the same pinned torch, built for it.
ARG UV_TORCH_BACKEND=cpu
WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE ./
# The project's dependencies at the versions of the lock, not the whole lock. Compiled once, here: nobody writes there
# later, and every process would compile its imports again.
RUN pip install --no-cache-dir "$(grep '^uv==' requirements.lock)" && uv venv /venv \
  && uv pip install --python /venv/bin/python --no-cache --compile-bytecode --constraint requirements.lock --requirements pyproject.toml --extra server \
     "$(grep '^setuptools==' requirements.lock)"
COPY model model
COPY orchestrator orchestrator
COPY dashboard dashboard
COPY studies studies
RUN uv pip install --python /venv/bin/python --no-cache --no-deps --no-build-isolation --editable .

FROM ${PYTHON_IMAGE} AS app
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0 MLFLOW_DISABLE_TELEMETRY=true PATH=/venv/bin:$PATH
RUN useradd --uid 10001 --create-home ablate && mkdir -p /data && chown ablate /data
WORKDIR /app
COPY --from=packages /venv /venv
COPY --from=packages /app /app
COPY .streamlit .streamlit
USER 10001:10001
ENTRYPOINT ["ablate"]

# For workers with GPUs: Triton compiles its kernels' launchers with a C compiler, into a folder that may run code.
FROM app AS gpu
USER 0:0
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
ENV CC=gcc TRITON_CACHE_DIR=/cache/triton TORCHINDUCTOR_CACHE_DIR=/cache/inductor
USER 10001:10001

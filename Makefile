# `make help` lists what can be made. Everything sets itself up first: see scripts/setup.sh.

PYTHON_IN_VENV := .venv/bin/python
OP_SOURCES := BUILD WORKSPACE MODULE.bazel .bazelrc setup.py \
    $(filter-out %_test.cc, $(wildcard ops/* kernels/*)) $(wildcard third_party/*)
OP := pg_tf/libpg_tf.json
PIP_INSTALL := $(PYTHON_IN_VENV) -m pip --disable-pip-version-check install --quiet --no-build-isolation \
    --constraint requirements.lock
# Not `ogb`: it asks for torch, whose release depends on the machine.
LOCKED_EXTRAS := bench browser crystals dev docs formats lock study tensorboard view xtb

unexport PYTHONPATH PYTHONHOME
.DEFAULT_GOAL := help
.PHONY: help setup environment demo bench check test lint lock clean distclean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

setup: $(OP) ## all that the other targets need: packages, .venv, the compiled op

demo: setup ## train a network on molecules, turn a grid back into atoms, write a report (ARGS="--help" for options)
	@.venv/bin/pg-tf demo $(ARGS)

bench: setup .venv/.bench ## speed beside baselines: tables and charts in runs/bench (ARGS="--quick", --install-baselines, --help)
	@$(PYTHON_IN_VENV) -m benchmarks $(ARGS)

check: lint ## for every edit, in 3 minutes: lint, types, the C++ tests and the Python tests that are not marked slow
	tools/bazel test //...
	$(PYTHON_IN_VENV) -m pytest -n 2 --dist worksteal -m 'not slow'

test: lint ## all of it: lint, types, the C++ tests and all Python tests
	tools/bazel test //...
	$(PYTHON_IN_VENV) -m pytest -n 2 --dist worksteal

lint: setup ## ruff, mypy and clang-format
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy
	.venv/bin/clang-format --dry-run --Werror $(wildcard ops/*.cc ops/*.h kernels/*.cc kernels/*.h benchmarks/baselines/*.cc)

# Not after a set-up, which holds to the lock file that is to be replaced.
lock: ## choose the releases that set-up installs: writes requirements.lock (ARGS="--upgrade" for the newest ones)
	@$(PIP_INSTALL) uv
	@.venv/bin/uv pip compile --quiet --universal --python-version 3.10 --python $(PYTHON_IN_VENV) --no-build-isolation \
	    $(addprefix --extra ,$(LOCKED_EXTRAS)) --custom-compile-command 'make lock' \
	    --output-file requirements.lock $(ARGS) pyproject.toml

clean: ## remove what was compiled
	rm -rf build *.egg-info pg_tf/libpg_tf.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	[ ! -x .setup/bazel ] || tools/bazel clean --expunge
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## and the virtual environment
	rm -rf .venv .setup

# What only the benchmarks need.
.venv/.bench: pyproject.toml requirements.lock | setup
	@$(PIP_INSTALL) --editable '.[bench]'
	@touch $@

environment:
	@scripts/setup.sh

$(OP): $(OP_SOURCES) | environment
	@$(PYTHON_IN_VENV) setup.py --quiet build_ext --inplace

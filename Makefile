# `make help` lists what can be made. Everything sets itself up first: see scripts/setup.sh.

PYTHON_IN_VENV := .venv/bin/python
OP_SOURCES := BUILD WORKSPACE .bazelrc setup.py \
    $(filter-out %_test.cc, $(wildcard ops/* kernels/*)) $(wildcard third_party/*)
OP := pg_tf/libpg_tf.json

unexport PYTHONPATH PYTHONHOME
.DEFAULT_GOAL := help
.PHONY: help setup environment demo bench test lint clean distclean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

setup: $(OP) ## all that the other targets need: packages, .venv, the compiled op

demo: setup ## train a 3D-ResNet on molecules, turn a grid back into atoms, write a report (ARGS="--help" for options)
	@.venv/bin/pg-tf demo $(ARGS)

bench: setup .venv/.bench ## speed beside rivals: tables and charts in runs/bench (ARGS="--quick", --install-rivals, --help)
	@$(PYTHON_IN_VENV) -m benchmarks $(ARGS)

test: lint ## lint, the C++ tests and the Python tests
	tools/bazel test //...
	$(PYTHON_IN_VENV) -m pytest -n 2

lint: setup ## ruff and mypy
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy

clean: ## remove what was compiled
	rm -rf build *.egg-info pg_tf/libpg_tf.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	[ ! -x .setup/bazel ] || tools/bazel clean --expunge
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean ## and the virtual environment
	rm -rf .venv .setup

# What only the benchmarks need.
.venv/.bench: pyproject.toml | setup
	@$(PYTHON_IN_VENV) -m pip --disable-pip-version-check install --quiet --no-build-isolation --editable '.[bench]'
	@touch $@

environment:
	@scripts/setup.sh

$(OP): $(OP_SOURCES) | environment
	@$(PYTHON_IN_VENV) setup.py --quiet build_ext --inplace

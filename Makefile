# Two commands: `make demo` and `make test`. Both do all their own set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv/.ready
LABEL_STUDIO := .venv-label-studio/.ready
SIDE_BY_SIDE := --dist loadscope --no-loadscope-reorder  # tests/conftest.py says which test goes to which process
PIP := -m pip install --disable-pip-version-check --quiet

.PHONY: help demo test soak pictures compatibility check clean
.DEFAULT_GOAL := help

help:
	@echo "make demo              Label Studio with sample images and the plugin, ready to label"
	@echo "make demo IMAGES=DIR   the same with your images, a sub-folder for each class"
	@echo "make test              the tests, those on a real Label Studio included"
	@echo "make soak              the tests that take long by nature"
	@echo "make compatibility     the tests on each release of Label Studio that is promised"
	@echo "make pictures          the pictures of the docs, as the tests see the pages"
	@echo "make check             lint and types"
	@echo "make clean             remove the virtual environments (data/ stays)"

demo: $(VENV) $(LABEL_STUDIO)
	@.venv/bin/python -m tools.demo $(if $(IMAGES),--images "$(IMAGES)") $(DEMO_OPTIONS)

test: $(VENV) $(LABEL_STUDIO)
	@.venv/bin/python -m pytest -n 3 $(SIDE_BY_SIDE) $(TESTS)

soak: $(VENV) $(LABEL_STUDIO)
	@.venv/bin/python -m pytest -m soak -n 2 $(SIDE_BY_SIDE) $(TESTS)

pictures: $(VENV) $(LABEL_STUDIO)
	@AL_PICTURES=docs .venv/bin/python -m pytest -m soak tests/e2e/test_pictures.py tests/e2e/test_picture_of_accept.py

compatibility: $(VENV)
	@.venv/bin/python -m tools.compatibility

check: $(VENV)
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy

$(VENV): requirements.txt requirements-dev.txt pyproject.toml
	@echo "Installing the plugin into .venv (a few minutes the first time) ..."
	@$(PYTHON) -m venv .venv || { echo "error: Python 3.11 cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	@.venv/bin/python $(PIP) -r requirements-dev.txt
	@.venv/bin/python $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(LABEL_STUDIO): requirements-label-studio.txt
	@echo "Installing Label Studio into .venv-label-studio (about 1 GB, a few minutes) ..."
	@$(PYTHON) -m venv .venv-label-studio
	@.venv-label-studio/bin/python $(PIP) -r requirements-label-studio.txt
	@touch $@

clean:
	rm -rf .venv .venv-label-studio .venv-compatibility

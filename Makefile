# Everything a person or CI does here, with pip alone; uv, when it is on the PATH, makes it faster.

PYTHON ?= python3

# What goes to pytest: all cores, and who is done takes over from who is not.
TESTS := -n auto --dist worksteal

VENV := .venv
BIN  := $(VENV)/bin
PY   := $(BIN)/python
UV   := $(shell command -v uv 2>/dev/null)

# Stamps. Another PYTHON is another environment, so its name is in the stamp.
MADE := $(VENV)/made-with-$(subst /,_,$(PYTHON))
RUN  := $(VENV)/ready-to-run
DEV  := $(VENV)/ready-to-develop

# FILE reaches the shell through the environment: a path may hold spaces and quotes.
export FILE

.DEFAULT_GOAL := help
.PHONY: help demo test check torture mutants bench bench-peers lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
	@echo 'PYTHON=python3.13 chooses an interpreter.'

demo: $(RUN) ## serve, review a real source file, show it live; FILE=path reviews another
	@$(BIN)/steno demo $${FILE:+"$$FILE"}

test: $(DEV) ## run the tests; ARGS="tests/engine -x" goes to pytest
	@$(PY) -m pytest $(TESTS) $(ARGS)

check: $(DEV) ## format, lint, types, tests and branch coverage, as a change must pass them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(TESTS) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

torture: $(DEV) ## crash at every event boundary and recover; ARGS goes to the script
	@$(PY) -m benchmarks.torture $(ARGS)

mutants: $(DEV) ## break the engine in fifteen ways, and see the tests turn red for each
	@$(PY) -m benchmarks.mutants

bench: $(DEV) ## measure all beside its ceilings, into benchmarks/RESULTS.md; ARGS="--rounds 9" goes along
	@$(PY) -m benchmarks $(ARGS)

bench-peers: $(DEV) ## measure beside other engines, which it installs into .peers/
	@$(PY) -m benchmarks --peers $(ARGS)

lock: ## pin the newest versions again, with hashes (needs uv)
	@test -n "$(UV)" || { echo 'make lock needs uv on the PATH: pip install uv' >&2; exit 1; }
	@$(compile) --group build --output-file requirements/run.txt
	@$(compile) --group dev --constraint requirements/run.txt --output-file requirements/dev.txt

clean: ## remove the environment and everything that tools left behind
	rm -rf $(VENV) .peers build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- setting up -------------------------------------------------------------------------------

$(RUN): $(MADE) requirements/run.txt pyproject.toml
	@echo 'Installing what it takes to run, into $(VENV) …' >&2
	@$(call install,requirements/run.txt)
	@touch $@

$(DEV): $(MADE) requirements/run.txt requirements/dev.txt pyproject.toml
	@echo 'Installing what it takes to develop, into $(VENV) …' >&2
	@$(call install,requirements/dev.txt)
	@touch $(RUN) $@

$(MADE):
	@$(check_python)
	@$(make_venv)
	@touch $@

define check_python
command -v "$(PYTHON)" >/dev/null || { \
    echo 'There is no $(PYTHON) here. Stenograph needs Python 3.11 or newer;' \
         'if it has another name, say so: make … PYTHON=python3.12' >&2; exit 1; }; \
"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
    echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1). Stenograph needs Python 3.11 or newer;" \
         'if there is one under another name, say so: make … PYTHON=python3.12' >&2; exit 1; }; \
"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || test -n "$(UV)" || { \
    echo '$(PYTHON) cannot make virtual environments: install its venv package' \
         '(Debian, Ubuntu: apt install python3-venv), or name another: make … PYTHON=python3.12' >&2; exit 1; }
endef

# The project is installed with the pinned build tools beside it, never with ones fetched for the build.
ifdef UV
make_venv = UV_VENV_CLEAR=1 "$(UV)" venv --quiet --no-project --python "$$(command -v "$(PYTHON)")" $(VENV)
pip_install = "$(UV)" pip install --quiet --python $(PY)
else
make_venv = "$(PYTHON)" -m venv --clear $(VENV)
pip_install = $(PY) -m pip install --quiet --disable-pip-version-check --no-input
endif

define install
$(if $(UV),,$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null;) \
$(pip_install) --require-hashes --requirement $(1) && \
$(pip_install) --no-deps --no-build-isolation --editable .
endef

compile = UV_CUSTOM_COMPILE_COMMAND='make lock' "$(UV)" pip compile --quiet --upgrade \
    --universal --python-version 3.11 --generate-hashes --extra workflows pyproject.toml

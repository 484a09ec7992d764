# Every target does its own set-up in $(VENV). Stamp files there make a second run quick: requirements
# are installed again when pyproject.toml changes, the package itself when a source changes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= auto
ARGS ?=

# Folders are listed too, so that a deleted file counts as a change.
SOURCES := $(shell find src cpp \( -name __pycache__ -o -name '.*' \) -prune -o -print 2>/dev/null)
BUILD_FILES := pyproject.toml $(wildcard CMakeLists.txt README.md LICENSE)
DEMO := build/demo

PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check format docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  PYTHON=python3.12 chooses the interpreter of a new .venv; make test takes JOBS=4 and'
	@echo '  ARGS="-k adam"; one test at once: .venv/bin/pytest tests/test_losses.py -k hinge'

# A line of the demo: show the command, then run it.
show = @printf '\n$$ %s\n' 'pellucid $(1)'; $(BIN)/pellucid $(1)

demo: $(VENV)/package.stamp $(VENV)/tables.txt  ## train, save, load and predict from the command line
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	$(call show,samples)
	$(call show,train sample:breast_cancer --target target --out $(DEMO)/breast_cancer.pellucid)
	$(call show,predict $(DEMO)/breast_cancer.pellucid sample:breast_cancer --head 5)
	$(call show,samples --write diabetes $(DEMO)/diabetes.csv)
	$(call show,train $(DEMO)/diabetes.csv --target target --out $(DEMO)/diabetes.pellucid)

# Workers share the cores, so each keeps its BLAS to one thread. The package that is tested is the
# installed one: src/ is not on the path.
test: $(VENV)/package.stamp $(VENV)/tables.txt $(VENV)/test.txt  ## tests, and the doctests of the installed package and README
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=Agg \
	$(BIN)/pytest -n $(JOBS) --maxprocesses=16 --doctest-modules --doctest-glob=README.md \
	    --pyargs tests/ pellucid $(wildcard README.md) $(ARGS)

check: $(VENV)/run.txt $(VENV)/tables.txt $(VENV)/dev.txt  ## formatting, lint, types, docstrings
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python tools/check_docstrings.py src/pellucid

format: $(VENV)/dev.txt  ## format the code and mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: $(VENV)/package.stamp  ## write docs/catalogues.md from the tables
	$(BIN)/python tools/write_catalogues.py docs/catalogues.md

clean:  ## remove .venv, build products and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests tools -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/venv.stamp:
	@command -v $(PYTHON) >/dev/null || \
	    { echo "make: '$(PYTHON)' was not found; name a Python >= 3.11: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make: pellucid needs Python >= 3.11, but '$(PYTHON)' is $$($(PYTHON) --version);" \
	           "name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "make: '$(PYTHON)' lacks the venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# What one part of pyproject.toml asks for: 'run' is dependencies and build requirements, the
# other names are extras.
define REQUIREMENTS
import sys, tomllib
settings = tomllib.load(open("pyproject.toml", "rb"))
project, part = settings["project"], sys.argv[1]
run = settings["build-system"]["requires"] + project["dependencies"]
print(*(run if part == "run" else project["optional-dependencies"][part]), sep="\n")
endef
export REQUIREMENTS

$(VENV)/%.txt: pyproject.toml $(VENV)/venv.stamp
	@$(BIN)/python -c "$$REQUIREMENTS" $* > $@
	$(PIP) install --quiet --requirement $@

$(VENV)/package.stamp: $(SOURCES) $(BUILD_FILES) $(VENV)/run.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --force-reinstall .
	@touch $@

# Every target does its own set-up in $(VENV). Stamp files there make a second run quick: requirements
# are installed again when pyproject.toml changes, the package itself when a source changes; the
# objects of the C++ stay in build/, so a change in Python compiles nothing.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= auto
ARGS ?=

# Folders are listed too, so that a deleted file counts as a change.
SOURCES := $(shell find src cpp \( -name __pycache__ -o -name '.*' \) -prune -o -print 2>/dev/null)
BUILD_FILES := pyproject.toml CMakeLists.txt README.md LICENSE
DEMO := build/demo

# PELLUCID_PURE=1 leaves the C++ out. Another stamp, so that the other kind is installed anew.
PURE := $(filter-out 0,$(PELLUCID_PURE))
PACKAGE := $(VENV)/package$(if $(PURE),-pure).stamp

PIP := $(BIN)/python -m pip --disable-pip-version-check
# CMake and ninja are the machine's, or else those that build.txt put into $(VENV).
WITH_CMAKE := PATH="$(abspath $(BIN)):$$PATH"
CTEST := ctest --output-on-failure --parallel 4 --test-dir
CPP := $(wildcard cpp/*.[ch]pp cpp/*/*.[ch]pp benchmarks/*.cpp benchmarks/*/*.c)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test browser node check check-cpp check-js sanitize neon phases bench faults fuzz format docs wheels clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  PYTHON=python3.12 chooses the interpreter of a new .venv; make test takes JOBS=4 and'
	@echo '  ARGS="-k adam"; one test at once: .venv/bin/pytest tests/test_losses.py -k hinge'
	@echo '  PELLUCID_PURE=1 leaves the C++ out: no compiler is needed'

# A line of the demo: show the command, then run it.
show = @printf '\n$$ %s\n' 'pellucid $(1)'; $(BIN)/pellucid $(1)

demo: $(PACKAGE) $(VENV)/tables.txt  ## train, save, load and predict from the command line
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	$(call show,samples)
	$(call show,train sample:breast_cancer --target target --out $(DEMO)/breast_cancer.pellucid)
	$(call show,predict $(DEMO)/breast_cancer.pellucid sample:breast_cancer --head 5)
	$(call show,samples --write diabetes $(DEMO)/diabetes.csv)
	$(call show,train $(DEMO)/diabetes.csv --target target --out $(DEMO)/diabetes.pellucid)
	$(call show,export $(DEMO)/diabetes.pellucid --to c --out $(DEMO)/diabetes.c)

# Workers share the cores, so each keeps its BLAS to one thread. The package that is tested is the
# installed one: src/ is not on the path.
test: $(PACKAGE) $(VENV)/tables.txt $(VENV)/test.txt browser  ## tests, and the doctests of the installed package, README and docs
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=Agg \
	PELLUCID_BROWSER="$$($(CHROMIUM))" \
	$(BIN)/pytest -n $(JOBS) --maxprocesses=16 --doctest-modules --doctest-glob='*.md' \
	    --pyargs tests/ pellucid README.md docs $(ARGS)

# The tests of pages drive the system's browser, and the page's types are checked with the system's
# Node: they come by apt-get where this may install. Where it may not, these say so and go on.
CHROMIUM := command -v chromium || command -v chromium-browser || command -v google-chrome
NODE := command -v npm
debian = @{ $(1); } >/dev/null || \
    { [ "$$(id -u)" = 0 ] && export DEBIAN_FRONTEND=noninteractive && apt-get update -q && \
      apt-get install -qy --no-install-recommends $(2); } >build/$@.log 2>&1 || \
    echo "make: SKIPPED $(3): they need Debian's $(2) (apt install $(2))"

browser: | build
	$(call debian,$(CHROMIUM),chromium,the tests of pages in a browser)

node: | build
	$(call debian,$(NODE),nodejs npm,the types of the lab's page)

build:
	@mkdir -p $@

check: $(VENV)/run.txt $(VENV)/tables.txt $(VENV)/dev.txt $(if $(PURE),,check-cpp) check-js  ## formatting, lint, types, docstrings; C++ warnings
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python tools/check_docstrings.py src/pellucid
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

# Every level, not optimised (that is quick), with warnings as errors.
check-cpp: $(VENV)/build.txt $(VENV)/dev.txt
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	@$(WITH_CMAKE) cmake -S . -B build/check -G Ninja >/dev/null \
	    -DCMAKE_BUILD_TYPE=Check -DPELLUCID_WERROR=ON \
	    -DPython_EXECUTABLE=$(abspath $(BIN))/python \
	    -Dnanobind_DIR="$$($(BIN)/python -m nanobind --cmake_dir)"
	$(WITH_CMAKE) cmake --build build/check

# tsconfig.json says what is checked. Where there is no way to npm, this says so instead.
TYPESCRIPT := 7.0.2
TSC := $(VENV)/typescript-$(TYPESCRIPT)/node_modules/.bin/tsc
NPM := NODE_OPTIONS=--use-openssl-ca npm --no-audit --no-fund --loglevel=error --fetch-retries=1
check-js: $(VENV)/venv.stamp node
	@if ! $(NODE) >/dev/null; then exit 0; fi; \
	if ! { [ -e $(TSC) ] || $(NPM) install --no-save --prefix $(VENV)/typescript-$(TYPESCRIPT) \
	    typescript@$(TYPESCRIPT); }; \
	then echo "make: SKIPPED the types of the lab's page: npm could not install TypeScript"; \
	else echo "tsc --project ."; $(TSC) --project .; fi

sanitize: $(VENV)/build.txt  ## the C++ tests under the address, undefined behaviour and thread sanitizers
	@for kind in address,undefined thread; do \
	    folder=build/sanitize-$${kind%%,*}; \
	    echo "-fsanitize=$$kind"; \
	    $(WITH_CMAKE) cmake -S cpp/tests -B $$folder -G Ninja >/dev/null \
	        -DPELLUCID_SANITIZE=$$kind && \
	    $(WITH_CMAKE) cmake --build $$folder && $(WITH_CMAKE) $(CTEST) $$folder || exit 1; \
	done

# The bindings are compiled too, with this machine's Python.h. Debian keeps a pyconfig.h for each
# architecture, looked up by its name; shim/ answers for aarch64 with this machine's.
NEON := build/neon
neon: $(VENV)/build.txt $(VENV)/run.txt  ## compile for aarch64 and run the C++ tests under qemu
	@for tool in aarch64-linux-gnu-g++ qemu-aarch64; do \
	    command -v $$tool >/dev/null || { echo "make neon: '$$tool' was not found;" \
	        "on Debian and Ubuntu: apt install g++-aarch64-linux-gnu qemu-user" >&2; exit 1; }; \
	done
	@$(BIN)/python -c "$$PYCONFIG_SHIM" $(NEON)/shim/aarch64-linux-gnu
	@$(WITH_CMAKE) cmake -S cpp/tests -B $(NEON) -G Ninja >/dev/null \
	    -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
	    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
	    -DCMAKE_CROSSCOMPILING_EMULATOR='qemu-aarch64;-L;/usr/aarch64-linux-gnu' \
	    -DPELLUCID_PYTHON="$$($(BIN)/python -c "$$INCLUDES");$(abspath $(NEON))/shim"
	$(WITH_CMAKE) cmake --build $(NEON)
	$(WITH_CMAKE) $(CTEST) $(NEON)

format: $(VENV)/dev.txt  ## format the code and mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/clang-format -i $(CPP)
	$(BIN)/ruff check --fix

phases: $(PACKAGE) $(VENV)/build.txt  ## where the time of a step goes, phase by phase: benchmarks/RESULTS.md
	@$(WITH_CMAKE) cmake -S cpp/tests -B build/phases -G Ninja >/dev/null
	@level=$$($(BIN)/python -c "$$LEVEL"); \
	$(WITH_CMAKE) cmake --build build/phases --target phases_$$level && \
	$(BIN)/python benchmarks/phases.py build/phases/phases_$$level $(ARGS)

bench: $(PACKAGE) $(VENV)/bench.stamp  ## speed beside scikit-learn, PyTorch, JAX and Keras: RESULTS.md, networks.md in benchmarks/
	$(BIN)/python benchmarks/speed.py $(ARGS)
	$(BIN)/python benchmarks/fits.py $(ARGS)
	$(BIN)/python benchmarks/loops.py $(ARGS)
	$(BIN)/python benchmarks/scaling.py $(ARGS)
	$(BIN)/python benchmarks/machine_noise.py $(ARGS)
	$(BIN)/python benchmarks/networks.py $(ARGS)

faults: $(PACKAGE) $(VENV)/tables.txt  ## kills, full disks, several writers: benchmarks/faults/RESULTS.md
	$(BIN)/python benchmarks/faults/run.py $(ARGS)

# Two processes at a time, or --jobs; ARGS="--target lab --count 5000" for some of one kind.
fuzz: $(PACKAGE) $(VENV)/tables.txt $(VENV)/test.txt  ## 100,000 odd and hostile inputs: benchmarks/faults/FUZZ.md
	$(BIN)/python benchmarks/faults/fuzz.py --write $(ARGS)

PYTHONS ?= python3.11 python3.12 python3.13 python3.14
wheels: $(VENV)/build.txt $(VENV)/release.txt  ## sdist and wheels in dist/, tried where there is no compiler; PYTHONS="..."
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tools/wheels.py --out dist $(PYTHONS)

$(VENV)/bench.stamp: benchmarks/requirements.txt $(VENV)/venv.stamp
	$(PIP) install --quiet --requirement $<
	@touch $@

docs: $(PACKAGE)  ## write docs/catalogues.md from the tables, and README's table from the benchmarks
	$(BIN)/python tools/write_catalogues.py docs/catalogues.md
	$(BIN)/python benchmarks/front_table.py README.md

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

# The SIMD level that the engine takes here.
define LEVEL
from pellucid.engines import simd
print(simd.load_level().__name__.rpartition("_")[2])
endef
export LEVEL

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

define BUILD_REQUIREMENTS
from scikit_build_core.build import get_requires_for_build_wheel
for requirement in get_requires_for_build_wheel():
    print(requirement)
endef
export BUILD_REQUIREMENTS

define INCLUDES
import nanobind, sysconfig
from pathlib import Path
robin_map = Path(nanobind.include_dir()).parent / "ext/robin_map/include"
print(sysconfig.get_path("include"), nanobind.include_dir(), robin_map, sep=";")
endef
export INCLUDES

define PYCONFIG_SHIM
import sys, sysconfig
from pathlib import Path
include = Path(sysconfig.get_path("include"))
own = include.parent / (sysconfig.get_config_var("MULTIARCH") or "") / include.name / "pyconfig.h"
shim = Path(sys.argv[1], include.name, own.name)
shim.parent.mkdir(parents=True, exist_ok=True)
shim.write_text(f'#include "{own}"\n')
endef
export PYCONFIG_SHIM

$(VENV)/%.txt: pyproject.toml $(VENV)/venv.stamp
	@$(BIN)/python -c "$$REQUIREMENTS" $* > $@
	$(PIP) install --quiet --requirement $@

# What the build backend wants besides: CMake and ninja, unless the machine has them.
$(VENV)/build.txt: $(VENV)/run.txt CMakeLists.txt
	@$(BIN)/python -c "$$BUILD_REQUIREMENTS" > $@
	@if [ -s $@ ]; then $(PIP) install --quiet --requirement $@; fi

$(PACKAGE): $(SOURCES) $(BUILD_FILES) $(VENV)/run.txt $(VENV)/build.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --force-reinstall .
	@rm -f $(VENV)/package*.stamp
	@touch $@

# SPDX-License-Identifier: GPL-2.0-only
# Every target first sets up what it needs in .venv. Another interpreter: make PYTHON=python3.13 TARGET
SHELL := /bin/sh
BIN := .venv/bin
ARGS ?=
unexport PYTHONPATH PYTHONHOME
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# .ci/setup looks at the machine, makes the venv and installs the named extras; it is quick when that has been done
setup = @PYTHON='$(PYTHON)' .ci/setup
compile = @$(BIN)/python .ci/build.py

.PHONY: help build demo test bench asan coverage lint format clean distclean

help:
	@echo "make demo       replay a recorded program on x86_64 and on s390, side by side"
	@echo "make test       run the tests           (ARGS='-k name' goes to pytest)"
	@echo "make bench      run the benchmarks      (ARGS='-k name' goes to pytest)"
	@echo "make lint       ruff, cython-lint, mypy, stubtest"
	@echo "make asan       fuzz and test a build with AddressSanitizer and UBSan (minutes)"
	@echo "make coverage   what of the reverse map the tests never execute, by gcov (minutes)"
	@echo "make format     let ruff lay out the Python files"
	@echo "make build      compile in place what has changed"
	@echo "make clean      remove what was compiled; make distclean: .venv too"

build:
	$(setup)
	$(compile)

demo: build
	@$(BIN)/rmapemu replay demo -m 10% --arch x86_64 --arch s390 $(ARGS)

test:
	$(setup) test
	$(compile)
	@$(BIN)/pytest $(ARGS)

bench:
	$(setup) test bench
	$(compile)
	@$(BIN)/pytest benchmarks $(ARGS)

asan:
	$(setup) test
	@$(BIN)/python .ci/asan.py $(ARGS)

coverage:
	$(setup) test
	$(compile)
	@$(BIN)/python .ci/coverage.py $(ARGS)

lint:
	$(setup) test lint
	$(compile)
	@$(BIN)/python .ci/lint.py

format:
	$(setup) lint
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
	find rmapemu arch -name '*.so' -exec rm -f {} +
	find rmapemu arch tests benchmarks -name __pycache__ -exec rm -rf {} +

distclean: clean
	rm -rf .venv .hypothesis ./*.egg-info

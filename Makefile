# SPDX-License-Identifier: GPL-2.0-only
# make build: compile in place what has changed, with the active Python (or PYTHON=...)
PYTHON ?= python3
.PHONY: build
build:
	@$(PYTHON) -c "from setuptools import setup; setup()" -q build_ext --inplace

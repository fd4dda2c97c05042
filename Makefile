# What script/ does not do: figures. The environment that script/test or script/serve made is used if
# there is one; PYTHON=... names another.
PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)

# More for either: OPTIONS="--rounds 5", OPTIONS=--quick, OPTIONS="--only servers,codec".
OPTIONS ?=

.PHONY: bench figures

# Measures all in about five minutes, and prints it. Tables and plots go to benchmarks/.build/figures.
bench:
	$(PYTHON) -m benchmarks $(OPTIONS)

# The same; tables and plots are those of docs/performance.rst.
figures:
	$(PYTHON) -m benchmarks --into docs/figures $(OPTIONS)

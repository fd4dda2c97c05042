# What script/ does not do: figures, and coverage. They are taken in .venv, which is made if it is not there, with
# what each needs; PYTHON=... names another Python, which has txcoap installed, and these things.
ifeq ($(origin PYTHON), undefined)
PYTHON := .venv/bin/python
SETUP := script/setup
else
SETUP := :
endif

# More for either: OPTIONS="--rounds 5", OPTIONS=--quick, OPTIONS="--only servers,codec".
OPTIONS ?=

.PHONY: bench coverage figures

# Measures all in about five minutes, and prints it. Tables and plots go to benchmarks/.build/figures.
bench:
	@$(SETUP) bench
	$(PYTHON) -m benchmarks $(OPTIONS)

# What the tests reach, those against other implementations too, in about six minutes. At least 97 % will
# do, of lines and branches together (pyproject.toml) and of the branches alone.
# Only some tests: TESTS="tests.test_uri tests.test_codes".
TESTS ?= tests
coverage:
	@$(SETUP) cli test interop coverage
	$(PYTHON) -m coverage erase
	$(PYTHON) -m coverage run -m twisted.trial -j2 $(TESTS)
	$(PYTHON) -m coverage combine --quiet
	$(PYTHON) -m coverage report
	@$(PYTHON) -m coverage json --quiet --fail-under=0 -o - | $(PYTHON) -c "import json, sys; \
	    totals = json.load(sys.stdin)['totals']; \
	    taken = 100 * totals['covered_branches'] / totals['num_branches']; \
	    print(f'branches taken: {taken:.1f} %'); sys.exit(taken < 97)"

# As bench; tables and plots are those of docs/performance.rst.
figures:
	@$(SETUP) bench interop
	$(PYTHON) -m benchmarks --into docs/figures $(OPTIONS)

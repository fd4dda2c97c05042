# What script/ does not do: figures. The environment that script/test or script/serve made is used if
# there is one; PYTHON=... names another.
PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)

.PHONY: bench bench-server bench-codec bench-memory

bench: bench-server bench-codec bench-memory

bench-server:
	$(PYTHON) -m benchmarks.run

bench-codec:
	$(PYTHON) -m benchmarks.codec

bench-memory:
	$(PYTHON) -m benchmarks.memory

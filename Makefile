# What script/ does not do: figures. The environment that script/test or script/serve made is used if
# there is one; PYTHON=... names another.
PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)

.PHONY: bench bench-server bench-codec bench-memory bench-stream

bench: bench-server bench-codec bench-memory bench-stream

bench-server:
	$(PYTHON) -m benchmarks.run

bench-codec:
	$(PYTHON) -m benchmarks.codec

bench-memory:
	$(PYTHON) -m benchmarks.memory

bench-stream:
	$(PYTHON) -m benchmarks.stream
	$(PYTHON) -m benchmarks.workers

# Every target sets itself up in a fresh clone: .venv is made on first use and again when the pins change.
PYTHON ?= python3
# Where else to look for packages. PyPI's PyTorch for Linux has CUDA in it, several gigabytes; without a GPU:
# make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
BIN := .venv/bin

.PHONY: demo test lint bench setup clean

setup: .venv/.ready

# What facewright itself needs.
.venv/.runs: pyproject.toml constraints.txt
	@echo 'setting up .venv: some minutes the first time, and 2 GB with a CPU build of PyTorch'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check $(addprefix --extra-index-url ,$(TORCH_INDEX)) -c constraints.txt torch
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e .
	touch $@

# And what its developers need.
.venv/.ready: .venv/.runs
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/.runs
	$(BIN)/facewright demo

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

test: lint tests/gltf_readers/node_modules
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile

# The Khronos glTF-Validator and three.js, where npm is there; their tests say so and skip where it is not.
tests/gltf_readers/node_modules: tests/gltf_readers/package.json
	if command -v npm >/dev/null; then \
	  npm install --prefix tests/gltf_readers --no-audit --no-fund --no-package-lock --silent \
	    || echo 'npm could not install the glTF readers: their tests will skip'; fi

bench: .venv/.ready
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv out facewright_demo tests/gltf_readers/node_modules

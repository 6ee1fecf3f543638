# Every target makes .venv by itself. PYTHON may name another interpreter (3.10 to 3.13).
PYTHON ?= python3.11
BIN := .venv/bin
BACKENDS := jax torch
# The versions CI ran; some of them have no release for Python 3.10, where the newest that fit are taken.
PINS := $(shell $(PYTHON) -c 'import sys; print("-c constraints.txt" if sys.version_info >= (3, 11) else "")')

# What several tests of a file share is made once; tests/conftest.py puts the files in order.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test lint bench test-tfio wheel-test clean

demo: .venv/base
	$(BIN)/python scripts/train.py --model attention_blstm_fcn --corpus iemocap --synthetic

# All tests on TensorFlow, then those that depend on the backend on the others.
test: .venv/dev
	$(BIN)/python -m pytest $(PARALLEL)
	for backend in $(BACKENDS); do KERAS_BACKEND=$$backend $(BIN)/python -m pytest $(PARALLEL) -m backend || exit 1; done

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/dev
	$(BIN)/python -m bench

# A wheel, built and tried outside the checkout.
wheel-test: .venv/dev
	$(BIN)/python .ci/check_wheel.py

# In-graph decoding needs tensorflow-io, which needs TensorFlow 2.16: an environment of its own.
test-tfio: .venv-tfio/done
	.venv-tfio/bin/python -m pytest tests/data/audio/test_in_graph.py

.venv/base: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q $(PINS) -e .
	touch $@ && rm -f .venv/dev

.venv/dev: .venv/base
	$(BIN)/pip install -q $(PINS) -e '.[dev,jax,onnx,opensmile,openvino,litert,ray,rooms,serving,tensorboard,torch,web]'
	touch $@

.venv-tfio/done: setup.cfg constraints-tfio.txt
	$(PYTHON) -m venv .venv-tfio
	.venv-tfio/bin/pip install -q -c constraints-tfio.txt -e '.[tfio]' hypothesis pytest
	touch $@

clean:
	rm -rf .venv .venv-tfio

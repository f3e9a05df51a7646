# Everything a contributor or CI needs; each target sets up what it lacks.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check fix fast docs bench lock clean

demo: $(READY)
	$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# What can be told without starting processes: for the inner loop.
fast: $(READY)
	$(BIN)/python -m pytest -m "not slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs src skills examples

fix: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pages of the reference that are written from code.
docs: $(READY)
	PYTHONPATH=tests $(BIN)/python -m support.behaviours
	PYTHONPATH=tests $(BIN)/python -m support.settings_page

bench: $(READY)
	$(BIN)/python benchmarks/run_all.py

# Pin everything anew, with hashes and without addresses.
lock: $(READY)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --extra cli --extra docker --extra postgres --group dev pyproject.toml -o requirements/dev.txt

$(READY): requirements/dev.txt pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

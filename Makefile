# make demo          install, and run the whole method on the bundled sample
# make test          install what the tests need, and run all of them; ARGS="-k ledger" for some of them
# make test-quick    the tests that are not marked as slow
# make test-pythons  the wheel in each declared version of Python that this machine has
# make check         lint, strict types, import contracts, links of the documentation
# make site          the documentation as a web site, in site/
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
PYTEST := $(BIN)/python -m pytest --numprocesses auto

.PHONY: demo test test-quick test-pythons check site format docs clean

demo: $(VENV)/installed
	$(BIN)/vner-annotate build sample --out $(DEMO)
	@echo
	@echo "One passage, its entities and the reply of the teacher (vner-annotate show $(DEMO)):"
	@$(BIN)/vner-annotate show $(DEMO)

test: $(VENV)/installed-dev
	$(PYTEST) $(ARGS)

test-quick: $(VENV)/installed-dev
	$(PYTEST) -m 'not slow' $(ARGS)

test-pythons: $(VENV)/installed-dev
	VNER_PYTHONS=all $(PYTEST) -rs tests/test_wheel.py

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zensical build --strict

site: $(VENV)/installed-dev
	$(BIN)/zensical build --clean --strict
	@echo "Read it: $(BIN)/python -m http.server -d site"

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed-dev
	$(BIN)/python docs/make_cli_reference.py > docs/cli.md

clean:
	rm -rf $(VENV) runs build dist site

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

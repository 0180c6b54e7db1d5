# Everything a person does with this repository; `make help` lists it. Sets itself up in .venv.

PYTHON ?= python3
RUNTIME ?= micropython
SCREENS ?= zh-CN
SCENARIO ?= scenarios/violation.yaml
PORT ?= 8350
PYTEST_ARGUMENTS ?=

BIN := .venv/bin
MARK_SIM := .venv/.installed-sim
MARK_TEST := .venv/.installed-test

.DEFAULT_GOAL := help
.PHONY: help sim demo test check font gallery screenshots menu-tree wire-format system-programs lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# Without RUNTIME it takes what the board is made for, or what there is.
sim: $(MARK_SIM) ## the desktop simulator, in a browser (PORT=8350, BOARD=, RUNTIME=, SCREENS=en)
	$(BIN)/reinstate sim --port $(PORT) --lang $(SCREENS) $(if $(BOARD),--board $(BOARD)) \
		$(if $(filter command environment,$(origin RUNTIME)),--runtime $(RUNTIME))

demo: $(MARK_SIM) ## a whole recovery, told as it happens (RUNTIME=cpython, SCREENS=en, SCENARIO=file)
	$(BIN)/reinstate run $(SCENARIO) --runtime $(RUNTIME) --lang $(SCREENS)

test: $(MARK_TEST) system-programs check ## style, types, and all tests on both runtimes, in random order
	$(BIN)/python -m pytest -n 4 --ignore=tests/browser $(PYTEST_ARGUMENTS)
	$(BIN)/python -m pytest -n 2 tests/browser $(PYTEST_ARGUMENTS)

check: $(MARK_TEST) ## style, types, and that generated files are current
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/check_texts.py
	$(BIN)/python tools/build_wire_format.py --check
	$(BIN)/python tools/build_wire_vectors.py --check
	$(BIN)/python tools/build_state_diagram.py --check
	$(BIN)/python tools/build_menu_tree.py --check
	$(BIN)/python tools/build_scenario_schema.py --check
	@if [ -e /usr/share/unifont/unifont.hex ]; then $(BIN)/python tools/build_font.py --check; else echo "font not checked: install the Debian package unifont"; fi

font: $(MARK_SIM) ## build the bitmap font from the texts (needs GNU Unifont)
	$(BIN)/python tools/build_font.py

gallery: $(MARK_SIM) ## draw every page on each board's display: build/gallery (ACCEPT=1 takes over what looks otherwise)
	$(BIN)/python tools/build_gallery.py $(if $(ACCEPT),--accept)

screenshots: $(MARK_TEST) ## take the READMEs' pictures of the desktop simulator: docs/images (needs Chromium)
	$(BIN)/python tools/screenshots.py

menu-tree: $(MARK_SIM) ## write docs/menu-tree.txt from the menu
	$(BIN)/python tools/build_menu_tree.py

wire-format: $(MARK_SIM) ## write docs/wire-format.md from the schema, and docs/wire-vectors.json
	$(BIN)/python tools/build_wire_format.py
	$(BIN)/python tools/build_wire_vectors.py

system-programs: ## what the tests need besides Python: installed where this runs as root on Debian
	@sh tools/system_programs.sh

lock: $(MARK_TEST) ## write requirements.lock from what is installed
	$(BIN)/pip freeze --exclude-editable --exclude reinstate | LC_ALL=C sort -f > requirements.lock

clean: ## remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "reinstate: Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.12"; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "reinstate: this Python has no venv (on Debian: apt install python3-venv)"; exit 2; }

$(MARK_SIM): $(BIN)/python setup.cfg requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[sim]'
	@touch $@

$(MARK_TEST): $(BIN)/python setup.cfg requirements.lock | system-programs
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[sim,linux,bench,test,dev]'
	@touch $@ $(MARK_SIM)

# One word per chore. Each makes what it needs in .venv, and does it again only when it has changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROTOS := $(wildcard proto/mien/v1/*.proto)
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: demo model-report test torture fuzz soak kills lint format bench proto docs clean help

help:  ## list the chores
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/demo  ## learn, seal, serve and recognise real faces; see runs/demo/report.html
	PYTHONPATH=examples $(BIN)/python -m demo

test: $(VENV)/dev  ## unit, contract and end-to-end tests
	$(BIN)/pytest

KILLS ?= 200
SEED ?= 1

torture: $(VENV)/dev  ## kill -9 a gallery 200 times and look at everything after each: two to three minutes; KILLS=1000 SEED=7 for others
	$(BIN)/python -m tests.gallery.torture --kills $(KILLS) --seed $(SEED)

BUNDLE ?= mien-s
REPORT ?=

model-report: $(VENV)/demo  ## measure a bundle for docs/models.md on ../shared/data; BUNDLE=folder REPORT=--install makes it the built-in one
	PYTHONPATH=examples $(BIN)/python -m model_report $(BUNDLE) $(REPORT)

REQUESTS ?= 10000

fuzz: $(VENV)/dev  ## send a server 10,000 malformed requests and look at every answer and its memory: about a minute; REQUESTS=500 SEED=7 for others
	$(BIN)/python -m tests.server.fuzz --requests $(REQUESTS) --seed $(SEED)

SECONDS ?= 900

soak: $(VENV)/dev  ## load a server for 15 minutes with all that callers do, and look at its memory; SECONDS=60 for less
	$(BIN)/python -m tests.server.soak --seconds $(SECONDS) --seed $(SEED)

kills: $(VENV)/dev  ## enrolling killed at least fifty times in each way, and a million pictures
	LONG_KILLS=50 LONG_PICTURES=1000000 $(BIN)/pytest tests/enrolling/test_kills.py tests/enrolling/test_folder.py

lint: $(VENV)/dev  ## style, types, arrows between rooms, freshness of generated code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check

format: $(VENV)/dev  ## put the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/bench  ## run every benchmark of benchmarks/, one after the other
	set -e; for file in $$(grep -l '^    python benchmarks/' benchmarks/*.py); do echo "$$file"; $(BIN)/python $$file; done

proto: $(VENV)/dev  ## generate service/mien/v1 from proto/mien/v1
	$(BIN)/python proto/generate.py

docs: demo  ## the chart in README.md, from a run of the demo, and docs/lab.md, from docs/lab
	cp runs/demo/eer.svg docs/demo.svg
	$(BIN)/python -m mien_training.lab.document

clean:  ## remove what the chores made
	rm -rf $(VENV) runs dist

$(VENV)/made:
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/demo $(VENV)/dev $(VENV)/bench: $(VENV)/%: $(VENV)/made pyproject.toml constraints.txt
	@echo "installing into $(VENV); torch is large, so the first time takes minutes"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	touch $@

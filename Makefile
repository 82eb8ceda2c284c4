# The front door: every target sets up what it needs in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out/demo

.PHONY: help setup demo test test-fast lint bench train train-headrest clean

help:
	@echo "make demo [SCAN=... FOLLOWUP=...]  locate a scan and match its follow-up; the report is in $(OUT)"
	@echo "make test | test-fast | lint       all tests | without the slow ones | style"
	@echo "make bench                         speed and memory, side by side with the alternatives"
	@echo "make train CT_DATA_DIR=...         make the shipped model again from the data and measure it; hours"
	@echo "make crossvalidation CT_DATA_DIR=...  measure models on sources that they never saw; hours"
	@echo "make train-headrest CT_DATA_DIR=...   make the network of the headrests again (about two hours)"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.base: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.fast: $(VENV)/.base
	@# LiteRT is an option ("faster"): some platforms have no wheel of it.
	-$(BIN)/python -m pip install --quiet -e .[fast]
	@touch $@

$(VENV)/.all: $(VENV)/.fast
	$(BIN)/python -m pip install --quiet -e .[train,slicer,cluster,dev]
	@touch $@

setup: $(VENV)/.all

demo: $(VENV)/.fast
	$(BIN)/python Testing/demo.py --out $(OUT) $(if $(SCAN),"$(SCAN)") $(if $(FOLLOWUP),"$(FOLLOWUP)")

test: setup
	$(BIN)/python -m pytest Testing --part slicer
	$(BIN)/python -m pytest Testing --part rest

test-fast: setup
	$(BIN)/python -m pytest Testing --part slicer -m "not slow"
	$(BIN)/python -m pytest Testing --part rest -m "not slow"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

bench: setup
	$(BIN)/python Testing/benchmarks/run.py

train: setup
	@test -n "$(CT_DATA_DIR)" || { echo "Say where the data is: make train CT_DATA_DIR=<folder with vol/ and landmarks.csv>"; exit 2; }
	$(BIN)/python -m CTSliceLocalizerLib.crossvalidation --data "$(CT_DATA_DIR)" --work work/by-patient --publish

train-headrest: setup
	@test -n "$(CT_DATA_DIR)" || { echo "Say where the data is: make train-headrest CT_DATA_DIR=<folder with vol/ and scans.csv>"; exit 2; }
	$(BIN)/python -m HeadrestRemovalLib.train --data "$(CT_DATA_DIR)"

crossvalidation: setup
	@test -n "$(CT_DATA_DIR)" || { echo "Say where the data is: make crossvalidation CT_DATA_DIR=<folder>"; exit 2; }
	$(BIN)/python -m CTSliceLocalizerLib.crossvalidation --data "$(CT_DATA_DIR)" --work work/by-source --by source \
		$(if $(wildcard work/by-patient/run.json),--beside work/by-patient) --publish

clean:
	rm -rf $(VENV) out build dist

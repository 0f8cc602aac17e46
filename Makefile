# `make demo` and `make test` are all that a stranger types; both set up what they need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ROOT   := $(shell test "$$(id -u)" = 0 || echo sudo)

.DEFAULT_GOAL := help
.PHONY: help setup tools services demo test soak lint bench clean

help:  ## what one can make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.set-up  ## a virtual environment with all that the programs can use

tools: $(VENV)/.tools  ## and with what tests and lint need

SOURCES := pyproject.toml setup.py constraints.txt $(wildcard mapreduce/formats/scanner/*.[ch] mapreduce/tables/grouping/*.[ch])

# What is imported is compiled then: of all that is installed, that is a third.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt \
	  --config-settings editable_mode=compat -e '.[$(1)]'
	@touch $@
endef

$(VENV)/.light: $(SOURCES)
	@echo "Setting up $(VENV): about 120 MB to download, 434 MB on the disk"
	$(call install,light)

$(VENV)/.set-up: $(SOURCES)
	@echo "Setting up $(VENV): about 160 MB to download, 547 MB on the disk"
	$(call install,all)

$(VENV)/.tools: $(VENV)/.set-up
	@echo "Adding what tests need to $(VENV), Spark and Dask with it: about 720 MB to download"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt \
	  --group test --group lint
	@touch $@

services:  ## the real PostGIS, sshd, shells, Java, Python and ffmpeg that tests start (Debian, Ubuntu, Raspberry Pi OS)
	@test -x /usr/bin/python3 || \
	  { $(ROOT) apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    $(ROOT) apt-get install -y -qq --no-install-recommends python3; }
	@ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1 || \
	  { $(ROOT) apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    $(ROOT) apt-get install -y -qq --no-install-recommends postgresql postgresql-postgis; }
	@test -x /usr/sbin/sshd && command -v ssh-keygen >/dev/null || \
	  { $(ROOT) apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    $(ROOT) apt-get install -y -qq --no-install-recommends openssh-server openssh-client; }
	@command -v fish >/dev/null && command -v tcsh >/dev/null && command -v zsh >/dev/null || \
	  { $(ROOT) apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    $(ROOT) apt-get install -y -qq --no-install-recommends fish tcsh zsh; }
	@command -v java >/dev/null 2>&1 || \
	  { $(ROOT) apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    $(ROOT) apt-get install -y -qq --no-install-recommends default-jre-headless; }
	@command -v ffmpeg >/dev/null 2>&1 || \
	  { $(ROOT) apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    $(ROOT) apt-get install -y -qq --no-install-recommends ffmpeg; }

demo: $(or $(wildcard $(VENV)/.set-up),$(VENV)/.light)  ## a town, its trips, every road's speed, a map: seconds, once set up
	$(BIN)/roadspeed demo --out demo

test: tools services  ## all tests, with the real services they need
	$(BIN)/python -m pytest -n 2 --dist loadgroup

soak: tools services  ## what takes long: hosts that go wrong by seed, and the schedule's simulation
	$(BIN)/python -m benchmarks.soak 100
	$(BIN)/python -m tests.simulation.bursts 0 1000

lint: tools  ## ruff, mypy strict, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: tools  ## this project beside its peers on the same trips; writes docs/benchmarks.md
	$(BIN)/python -m pip install --quiet -c constraints.txt --group bench
	$(BIN)/python -m benchmarks all --write

clean:  ## what the above made
	rm -rf $(VENV) demo

# The commands a newcomer needs: `make demo`, `make test`, `make check`; `make why` says what changed since a run, `make lock`
# renews the lock. On a cluster: `make recover` after a Snakemake that was killed.
SHELL := bash
PYTHON ?= python3.11
VENV ?= .venv
LOCK ?= envs/cpu.txt
CORES ?= all
# the settings that `make why` plans: config.yaml, and overlays after it
CONFIG ?= config.yaml
# what jobs that run side by side may take together, in MB; a job that loads the demo's base counts 2000
MEMORY ?= $(shell awk '/^MemAvailable/ {print int($$2 / 1024)}' /proc/meminfo 2>/dev/null)
BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)
PACKAGE := workflow/tropism

.PHONY: demo why test test-slow test-plans test-workflow test-kills test-slurm test-browser check lock readers recover

demo: $(VENV)/installed
	snakemake --cores $(CORES) $(if $(MEMORY),--resources mem_mb=$(MEMORY)) -- all write_report
	@python -m tropism.figures summary --results results/demo

# what would run again, and which modules or settings changed
why: $(VENV)/installed
	@set -o pipefail; snakemake -n --cores 1 --configfile $(CONFIG) -- all | python -m tropism.why

test: $(VENV)/installed $(VENV)/readers/installed
	pytest -q -n 2 --dist loadfile

# what takes minutes, of every room
test-slow: $(VENV)/installed
	pytest -q -m "slow and not gpu"

# of that, what an edit of settings, code or data would run again; after `make demo` planned on its results, else on a
# trimmed run that is made first
test-plans: $(VENV)/installed
	pytest -q -n 2 -m slow tests/workflow/test_rebuild.py

# the same, and stages that are killed
test-workflow: $(VENV)/installed
	pytest -q -m slow tests/workflow

test-kills: $(VENV)/installed
	pytest -q -m slow tests/workflow/test_kill.py

# on a SLURM of its own that the tests start on this machine; skipped where it cannot be installed (docs/cluster.md)
test-slurm: $(VENV)/installed
	pytest -q -rs -m slurm $(if $(SLURM_TESTS),-k "$(SLURM_TESTS)") tests/slurm

# the page in headless Chromium (Debian's package `chromium`), about two minutes
test-browser: $(VENV)/installed
	pytest -q -m browser

check: $(VENV)/installed
	ruff format --check . && ruff check .
	snakefmt --check Snakefile workflow/rules
	snakemake --lint
	mypy

# torch comes first and with its own needs: on a machine whose index has only CUDA builds those are what makes it load.
# Everything else is in the lock, complete, so nothing is resolved (--no-deps).
$(VENV)/installed: $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet --constraint $(LOCK) torch
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --requirement $(LOCK)
	$(BIN)/python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'tropism.pth').write_text('$(abspath workflow)\n')"
	touch $@

# other people's programs that read our archives back; two of them want older packages than the pipeline has
$(VENV)/readers/installed: envs/readers.txt
	$(PYTHON) -m venv $(VENV)/readers
	$(VENV)/readers/bin/pip install --disable-pip-version-check --quiet --no-deps --requirement envs/readers.txt
	touch $@

readers: $(VENV)/readers/installed

lock:
	$(PYTHON) envs/lock.py

# the SLURM jobs of this folder that a killed Snakemake left behind are cancelled, and the folder is unlocked
recover: $(VENV)/installed
	workflow/profiles/slurm/recover.sh

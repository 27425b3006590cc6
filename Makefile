# The verbs of this clone; `make help` lists them. What they need is set up by packaging/bootstrap.sh.

PYTHON_VENV := .venv/bin/python
PROGRAMS := sparkdesk/simulator/program
BOOTSTRAP := sh packaging/bootstrap.sh
export PYTHONUNBUFFERED := 1
# A file's tests stay together: they share what is slow to start.
SPREAD := -n logical --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help run fresh test quick lab test-vllm deep bench soak gallery lint install-desktop uninstall-desktop clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

run: ## open SparkDesk on a simulated cluster (without a display: the guided tour)
	@$(BOOTSTRAP) run

fresh: ## the same with four Sparks out of their boxes: press "Bring up"
	@$(BOOTSTRAP) fresh

test: ## everything CI runs: quick, then lab; stops at the first failure
	@$(MAKE) --no-print-directory quick
	@$(MAKE) --no-print-directory lab

quick: lint ## linters, types, contracts, and all tests but the lab
	QT_QPA_PLATFORM=offscreen $(PYTHON_VENV) tests/lane.py tests --ignore=tests/lab --ignore=tests/vllm $(SPREAD)

lab: ## tests against real sshd in network namespaces (root)
	@$(BOOTSTRAP) lab

test-vllm: ## tests against a real vLLM on the CPU: flags, phases, errors, metrics, two ranks (3.5 GB once, minutes)
	@$(BOOTSTRAP) vllm

deep: ## long chaos and many more examples; an hour or more, by hand (root)
	@$(BOOTSTRAP) dev
	SPARKDESK_DEEP=1 QT_QPA_PLATFORM=offscreen $(PYTHON_VENV) -m pytest tests/core $(SPREAD)
	@SPARKDESK_DEEP=1 $(BOOTSTRAP) lab

lint: ## ruff, mypy --strict, import contracts
	@$(BOOTSTRAP) dev
	$(PYTHON_VENV) -m ruff check .
	$(PYTHON_VENV) -m mypy sparkdesk backends ui
	MYPYPATH=$(PROGRAMS) $(PYTHON_VENV) -m mypy --explicit-package-bases $(PROGRAMS)/*.py
	.venv/bin/lint-imports --no-logo --cache-dir build/import-linter

bench: ## every figure, printed and in build/bench.json (ONLY=word: those whose name contains it)
	@$(BOOTSTRAP) dev
	$(PYTHON_VENV) tests/bench/run.py $(if $(ONLY),--only "$(ONLY)")

soak: ## ten minutes of work in one on simulated Sparks: fails when something grows (LEAK=widget plants one; CYCLES=6: shorter)
	@$(BOOTSTRAP) dev
	PYTHONPATH=. QT_QPA_PLATFORM=offscreen $(PYTHON_VENV) tests/soak/soak.py $(if $(LEAK),--leak "$(LEAK)") $(if $(CYCLES),--cycles "$(CYCLES)")

gallery: ## a picture of every widget in both themes, in build/gallery/
	@$(BOOTSTRAP) app
	QT_QPA_PLATFORM=offscreen $(PYTHON_VENV) -m ui.gallery --out build/gallery

install-desktop: ## put SparkDesk of this clone into the desktop's menu
	@$(BOOTSTRAP) app
	@$(PYTHON_VENV) packaging/desktop_entry.py install

uninstall-desktop: ## take it out again
	@$(or $(wildcard $(PYTHON_VENV)),python3) packaging/desktop_entry.py uninstall

clean: ## remove what building and testing left (the virtual environment stays)
	rm -rf build dist .ruff_cache .mypy_cache .pytest_cache .hypothesis .import_linter_cache

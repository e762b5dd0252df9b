# `make` lists the targets.

ADDRESS ?= 127.0.0.1:8080
DATA ?= ./data

.PHONY: help setup run demo build release test check format proto bench clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: ## Install the system packages that are missing
	@scripts/setup.sh

run: release ## Build, and start a database on ADDRESS (127.0.0.1:8080) with its data in DATA (./data)
	exec .build/release/atlas-db start --address $(ADDRESS) --data-dir $(DATA)

demo: release ## Three regions on this machine, to play with
	exec .build/release/atlas-db demo

build: setup ## Debug build
	swift build

release: setup ## Release build of the command line
	swift build -c release --product atlas-db

test: setup ## Build and run all tests
	scripts/check.sh tests simulator mutations interop process crash torture examples

check: setup ## Everything that CI checks
	scripts/check.sh

format: ## Format all Swift files
	git ls-files -z --cached --others --exclude-standard -- '*.swift' | xargs -0 swift format --in-place --parallel

proto: ## Regenerate the protobuf code after a change in proto/
	scripts/generate-proto.sh

bench: release ## Load the database on ADDRESS (start one with `make run`)
	.build/release/atlas-db bench --endpoint $(ADDRESS)

clean: ## Remove build products (not the data)
	rm -rf .build

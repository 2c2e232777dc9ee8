# The daily commands. `just` alone lists them; CI runs .ci/run, which needs no task runner.

kafka := "/tmp/slipway/kafka"
mongodb := "/tmp/slipway/mongodb"

_list:
    @{{just_executable()}} --list --unsorted

# Run everything in one process, embedded
run *ARGS:
    cargo run -- {{ARGS}}

# Run all tests that need no servers, or those whose names contain FILTER
test FILTER="":
    cargo test --workspace --locked {{FILTER}}

# Run all tests, also on the servers that `just servers` has started
test-all:
    #!/usr/bin/env bash
    set -euo pipefail
    export SLIPWAY_TEST_REQUIRED=1
    SLIPWAY_TEST_KAFKA=$(backbones/kafka address {{kafka}})
    SLIPWAY_TEST_MONGODB=$(backbones/mongodb url {{mongodb}})
    export SLIPWAY_TEST_KAFKA SLIPWAY_TEST_MONGODB
    cargo test --workspace --locked

# Start Kafka and a MongoDB-compatible server for tests
servers:
    mkdir -p {{kafka}} {{mongodb}}
    backbones/kafka start {{kafka}}
    backbones/mongodb start {{mongodb}}

# Stop them
stop-servers:
    backbones/kafka stop {{kafka}}
    backbones/mongodb stop {{mongodb}}

# Check format, lints, documentation and dependencies, as CI does
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --workspace --locked
    cargo deny --locked check licenses bans sources

# Format the code
format:
    cargo fmt --all

# Measure; for example `just bench --only reads --seconds 30`
bench *ARGS:
    cargo run --release --locked --package slipway-tests --bin slipway-bench -- {{ARGS}}

# Start the whole system in containers, and show the administrator's password
up *ARGS:
    docker-compose up --build -d {{ARGS}}
    docker-compose logs secrets

# Check the files that deploy Slipway
check-deploy:
    deploy/check

# Do what CI does
ci:
    .ci/run

#!/usr/bin/env bash
# The consensus core in a simulated world: seeds with faults of every kind, checked after every event. Some of them run
# twice, in two processes, and must come to the same history.
set -euo pipefail
swift build -c release --product atlas-sim
seeds=${ATLAS_SIM_SEEDS:-1000}
.build/release/atlas-sim run --seeds "$seeds"
.build/release/atlas-sim determinism --seeds $((seeds / 20))

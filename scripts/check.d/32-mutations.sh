#!/usr/bin/env bash
# Mistakes that the protocol forbids, switched on one after the other: the simulator must see each of them.
set -euo pipefail
swift build -c release --product atlas-sim --scratch-path .build-mutations -Xswiftc -DATLAS_MUTATIONS
.build-mutations/release/atlas-sim mutations --seeds 3000

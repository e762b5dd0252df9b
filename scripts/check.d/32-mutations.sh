#!/usr/bin/env bash
# Mistakes that the protocol forbids, switched on one after the other: the simulator must see each of them. Those that
# it has not been seen to catch yet are named in docs/TESTING.md.
set -euo pipefail
swift build -c release --product atlas-sim --scratch-path .build-mutations -Xswiftc -DATLAS_MUTATIONS
.build-mutations/release/atlas-sim mutations --seeds 2000 \
    reply-before-durable promise-forgets-accepted promise-forgets-committed one-ballot-field \
    recovery-ignores-promises recovery-takes-lowest commit-by-slot prepare-quorum-too-small accept-quorum-too-small \
    quorum-of-reachable restart-keeps-ownership wiped-disk-votes lease-not-checked lease-too-long \
    handoff-keeps-proposing handoff-without-entries retry-applied-twice verdict-of-retry-is-final position-apart \
    stale-snapshot truncation-before-flush clock-goes-back read-past-closed

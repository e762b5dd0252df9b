#!/usr/bin/env bash
# Everything that is compared, one table after the other. Needs h2load and etcd; ETCD and ATLAS_DB name other binaries.
#
#     Benchmarks/compare/run.sh [part...]        parts: throughput keys session embedded recovery footprint
#                                                       cluster regions follow idle
#
# Each part is a script of its own with options (--help). It takes about an hour; the machine should do nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Clusters are started as the process tests do it, with the same packages.
. scripts/python-environment.sh
cd Benchmarks/compare

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(throughput keys session embedded recovery footprint cluster regions follow idle)
failed=()
for part in "${parts[@]}"; do
    echo "== $part"
    "$python" "$part.py" || failed+=("$part")
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }

#!/usr/bin/env bash
# Builds and runs all examples against a server that it starts, and ends, by itself.
#
#   Examples/run.sh [ATLAS_DB]     the server's binary; otherwise the newest of .build/release and .build/debug
#
# The Swift examples share one build directory (EXAMPLES_SCRATCH, otherwise Examples/.build).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
scratch=${EXAMPLES_SCRATCH:-$root/Examples/.build}
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" || true; }
    rm -rf "$work"
}
trap finish EXIT

for example in basic-client batch embedded; do
    # What the build directory remembers of the package before this one; the modules stay.
    rm -f "$scratch"/debug.yaml "$scratch"/debug/description.json
    swift build --package-path "Examples/$example" --scratch-path "$scratch" --product "$example"
done
bin=$(swift build --package-path Examples/basic-client --scratch-path "$scratch" --show-bin-path)

binary=${1:-$(ls -t .build/release/atlas-db .build/debug/atlas-db 2>/dev/null | head -n 1)}
[ -x "$binary" ] || { echo "no atlas-db: build it first (swift build)" >&2; exit 1; }
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$binary" start --address "127.0.0.1:$port" --data-dir "$work/data" >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do
    "$binary" status --endpoint "127.0.0.1:$port" >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
    sleep 0.1
done

echo "-- basic-client"
"$bin/basic-client" "127.0.0.1:$port" | tee "$work/basic"
grep -q "user/1 = Ada Lovelace" "$work/basic"
echo "-- batch"
"$bin/batch" "127.0.0.1:$port" | tee "$work/batch"
grep -q "in all 400, as in the beginning: true" "$work/batch"
echo "-- embedded, twice"
"$bin/embedded" "$work/embedded"
"$bin/embedded" "$work/embedded" | tee "$work/embedded.out"
grep -q "opened 2 times" "$work/embedded.out"

echo "-- python"
source scripts/python-environment.sh
mkdir "$work/stubs"
PYTHON=$python Examples/python/stubs.sh "$work/stubs"
PYTHONPATH="$work/stubs" "$python" Examples/python/client.py "127.0.0.1:$port" | tee "$work/python"
grep -q "city/2 = Lima" "$work/python"
echo "-- cluster"
Examples/cluster/run.sh "$binary" --free-ports | tee "$work/cluster"
grep -q "Quito" "$work/cluster"
echo "examples: all ran"

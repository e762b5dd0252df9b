#!/usr/bin/env bash
# Three nodes on this machine: writes at one, reads at another, ends the owner, and writes again. Everything ends with it.
#
#   Examples/cluster/run.sh [ATLAS_DB] [--free-ports]
#
# --free-ports takes free ports instead of 7101 to 7103. ATLAS_DB is the binary; otherwise the newest that was built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
binary=
free_ports=false
for argument; do
    case $argument in
        --free-ports) free_ports=true ;;
        *) binary=$argument ;;
    esac
done
binary=${binary:-$(ls -t "$root"/.build/release/atlas-db "$root"/.build/debug/atlas-db 2>/dev/null | head -n 1)}
[ -x "$binary" ] || { echo "no atlas-db: build it first (make release)" >&2; exit 1; }
binary=$(realpath "$binary")

work=$(mktemp -d)
declare -A nodes=()
finish() {
    for pid in "${nodes[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${nodes[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

cp "$here"/node?.yaml "$work"
ports=(7101 7102 7103)
if $free_ports; then
    mapfile -t ports < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(3)]
for s in sockets: s.bind(("127.0.0.1", 0))
for s in sockets: print(s.getsockname()[1])')
    sed -i "s/:7101/:${ports[0]}/; s/:7102/:${ports[1]}/; s/:7103/:${ports[2]}/" "$work"/node?.yaml
fi
endpoints=("127.0.0.1:${ports[0]}" "127.0.0.1:${ports[1]}" "127.0.0.1:${ports[2]}")

cd "$work"
for number in 1 2 3; do
    "$binary" start --config "node$number.yaml" >"node$number.log" 2>&1 &
    nodes[$number]=$!
done

# Tries a command until it works: at first the nodes have to find each other, later a new owner has to be found.
patiently() {
    for _ in $(seq 100); do
        "$@" 2>/dev/null && return
        sleep 0.2
    done
    echo "failed: $*" >&2
    tail -n 5 "$work"/node?.log >&2
    return 1
}

echo "-- three nodes form a cluster; a write at node-1"
patiently "$binary" put city "Lima" --endpoint "${endpoints[0]}"
echo "-- a read at node-3"
"$binary" get city --consistency consistent --endpoint "${endpoints[2]}"
echo "-- node-1 is killed; a write at node-2"
kill -KILL "${nodes[1]}"
wait "${nodes[1]}" 2>/dev/null || true
unset "nodes[1]"
patiently "$binary" put city "Quito" --endpoint "${endpoints[1]}"
patiently "$binary" get city --consistency consistent --endpoint "${endpoints[2]}"
echo "cluster: all went as it should"

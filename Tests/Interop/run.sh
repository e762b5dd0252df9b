#!/bin/sh
# Tests AtlasRPC against other implementations of gRPC: grpc-swift (both ways) and Python's grpcio. Run it from anywhere.
# The first run builds grpc-swift, which takes minutes. INTEROP_SCRATCH may name another build directory.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
scratch=${INTEROP_SCRATCH:-$here/.build}
work=$(mktemp -d)
server=

finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT INT TERM

echo "== grpc-swift"
swift test --package-path "$here" --scratch-path "$scratch"

echo "== grpcio"
venv=$root/.venv
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/python/requirements.txt"

mkfifo "$work/input"
"$(swift build --package-path "$here" --scratch-path "$scratch" --show-bin-path)/interop-server" \
    <"$work/input" >"$work/output" &
server=$!
exec 3>"$work/input"
tries=100
until grep -q "listening on" "$work/output"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "the interop server does not start" >&2; exit 1; }
    sleep 0.1
done
port=$(sed -n 's/listening on //p' "$work/output")
"$venv/bin/python" "$here/python/interop.py" "127.0.0.1:$port"

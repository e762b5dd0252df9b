#!/usr/bin/env bash
# Builds the server with ThreadSanitizer, and runs process tests with it: by default the one with everything going on at once.
# Each report of the sanitizer is printed, and fails the run.
#
#   scripts/threads.sh                                       what CI runs
#   scripts/threads.sh cluster/test_administration.py        other tests of Tests/Process
set -euo pipefail
cd "$(dirname "$0")/.."

build=.build-threads
swift build --sanitize=thread --scratch-path "$build" --product atlas-db
clang=$(dirname "$(readlink -f "$(command -v swift)")")/clang
"$clang" -Wall -Wextra -Werror -O1 -shared -fPIC -o "$build/mutex.so" Tests/Threads/mutex.c

# Of servers alone, and not of what starts them.
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
cat > "$build/atlas-db" <<END
#!/bin/sh
export TSAN_OPTIONS="log_path=$reports/report" LD_PRELOAD="$PWD/$build/mutex.so"
exec "$PWD/$build/debug/atlas-db" "\$@"
END
chmod +x "$build/atlas-db"

passed=true
ATLAS_DB=$PWD/$build/atlas-db scripts/process-tests.sh --quiet "${@:-cluster/test_all_at_once.py}" || passed=false
if [ -n "$(ls "$reports")" ]; then
    cat "$reports"/*
    grep -h '^SUMMARY' "$reports"/* | sort | uniq -c | sort -rn >&2
    passed=false
fi
$passed

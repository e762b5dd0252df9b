#!/usr/bin/env bash
# Gives bytes that coverage chooses (libFuzzer) to everything that takes bytes from outside: Tests/Fuzz.
#
#   scripts/fuzz.sh [TARGET|all] [SECONDS]      all targets, 60 seconds each
#   ASAN=1 scripts/fuzz.sh ...                  with AddressSanitizer
#
# Inputs worth keeping gather in Tests/Fuzz/.build/corpus. One that traps, hangs or breaks a rule ends its target's run
# and is left in Tests/Fuzz/.build/found; to see what it does: cd Tests/Fuzz && .build/release/Fuzz TARGET FILE
set -euo pipefail
cd "$(dirname "$0")/../Tests/Fuzz"

seconds=${2:-60}
swift build -c release
fuzz=.build/release/Fuzz
targets=${1:-all}
if [ "$targets" = all ]; then targets=$("$fuzz" targets); fi

# libFuzzer saves the input of a crash itself.
export SWIFT_BACKTRACE=enable=no
mkdir -p .build/found
failed=""
for target in $targets; do
    corpus=.build/corpus/$target
    "$fuzz" seeds "$target" "$corpus"
    echo "== $target"
    "$fuzz" "$target" "$corpus" -max_total_time="$seconds" -max_len=4096 -timeout=10 -use_value_profile=1 \
        -print_final_stats=1 -artifact_prefix=".build/found/$target-" 2>&1 |
        grep -E 'DONE|Fatal error|ERROR|SUMMARY|written to|number_of_exec|average_exec' || failed+=" $target"
done
if [ -n "$failed" ]; then
    echo "fuzz: found something:$failed" >&2
    exit 1
fi

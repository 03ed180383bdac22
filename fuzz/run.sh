#!/usr/bin/env bash
# Fuzzes each target for so many seconds: run.sh SECONDS. fuzz/artifacts then holds the inputs that broke one.
set -euo pipefail
cd "$(dirname "$0")"
fuzz=(--sanitizer none --target-dir ../target/fuzz) # the code is safe Rust: a sanitizer has nothing to find
cargo fuzz build "${fuzz[@]}"
for target in event document request server provider notification; do
  dictionary=text.dict
  if [ "$target" = server ]; then dictionary=server.dict; fi
  seeds=("seeds/$target")
  if [ "$target" = event ]; then seeds+=(../events); fi
  mkdir -p "corpus/$target"
  log="corpus/$target.log"
  if ! cargo fuzz run "${fuzz[@]}" "$target" "corpus/$target" "${seeds[@]}" -- \
    -dict="$dictionary" -max_total_time="$1" -max_len=4096 -print_final_stats=1 >"$log" 2>&1; then
    tail -n 40 "$log"
    exit 1
  fi
  echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") executions in $1 s, none breaks it"
done

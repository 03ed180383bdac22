#!/usr/bin/env bash
# Whether each target finds a mistake: planted.patch plants one for each of them in a copy of the sources, and each has to break
# within so many executions: planted.sh [RUNS]. The seed is fixed, so that it takes the same course each time.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-20000000}
copy=target/planted
rm -rf "$copy"
mkdir -p "$copy"
git ls-files -z | xargs -0 cp --parents --target-directory "$copy"
git apply --directory="$copy" fuzz/planted.patch
cd "$copy/fuzz"
# the dependencies are those of `make fuzz`
fuzz=(--sanitizer none --target-dir ../../fuzz)
cargo fuzz build "${fuzz[@]}"
missed=0
for target in event document request server provider notification; do
  dictionary=text.dict
  if [ "$target" = server ]; then dictionary=server.dict; fi
  mkdir -p "corpus/$target"
  log="corpus/$target.log"
  if cargo fuzz run "${fuzz[@]}" "$target" "corpus/$target" "seeds/$target" -- \
    -dict="$dictionary" -runs="$runs" -seed=1 -max_len=4096 -print_final_stats=1 >"$log" 2>&1; then
    echo "$target does not find its mistake in $runs executions"
    missed=1
  else
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$target finds it after $executions executions: $(grep -A 1 'panicked at' "$log" | tail -n 1 | cut -c 1-100)"
  fi
done
exit "$missed"

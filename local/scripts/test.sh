#!/usr/bin/env bash
# test.sh: every test of the workspace, and of the application beside it (client/beside). One that fails stops no other. At the end stand
# the names of all that failed, and what was skipped and why: a test that skips itself says `skipped: WHAT: WHY`.
#
# test.sh --terminal: rotatectl's tests once more, in a terminal in place of a pipe.
set -uo pipefail
cd "$(dirname "$0")/../.."

log=$(mktemp) failed=0 colour=auto
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
# cargo writes to a pipe, which still ends in a terminal
if [ -t 1 ]; then colour=always; fi
cargo=(cargo test --workspace --all-features --no-fail-fast --color "$colour")

run() { "$@" 2>&1 | tee -a "$log" || failed=1; }

# in the same target folder, where a part of what it needs is built already
beside() {
  local at=(--manifest-path client/beside/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}")
  cargo test "${at[@]}" --no-fail-fast --color "$colour" --tests -- --color "$colour" 2>&1 |
    sed "s|to rerun pass \`|&${at[*]:0:2} |"
}

if [ "${1:-}" != --terminal ]; then
  # what does not build is told here, and nothing is run
  cargo build --workspace --all-features --tests || exit
  run "${cargo[@]}" --doc -- --color "$colour"
  run local/scripts/versions.sh --installed
  run "${cargo[@]}" --tests -- --color "$colour"
  run beside
elif [ "$(uname)" = Linux ] && command -v script >/dev/null; then
  # all by name: with `-p rotatectl` cargo would choose other features, and build half of everything again
  targets=(--lib)
  for file in cli/tests/*.rs cli/tests/*/main.rs; do
    name=${file#cli/tests/} name=${name%/main.rs}
    targets+=(--test "${name%.rs}")
  done
  run script --quiet --return --command "TERM=xterm ${cargo[*]} ${targets[*]}" /dev/null </dev/null
else
  echo "skipped: the tests in a terminal: they need script from util-linux (Debian: apt-get install bsdutils)"
  exit
fi

# colours out; cargo names a target behind the tests of it that failed
sed $'s/\033[[(][0-9;]*[A-Za-z]//g; s/\r$//' "$log" | awk '
  /^test .*FAILED$/ { sub(/^test /, ""); sub(/ \.\.\. FAILED$/, ""); names = names "\n    " $0 }
  /to rerun pass `/ {
    split($0, part, "`")
    targets = targets "\n  " (part[2] ~ /cargo test/ ? "" : "cargo test ") part[2] names
    names = ""
  }
  /^test .* \.\.\. ignored/ { if (!sub(/.*ignored, /, "")) $0 = "no reason is given"; ignored[$0]++ }
  /skipped: / { sub(/.*skipped: /, ""); skipped[$0] = 1 }
  /^test result: / { passed += $4 }
  END {
    for (what in skipped) print "\nSkipped: " what
    for (why in ignored) print "\nSkipped: " ignored[why] (ignored[why] == 1 ? " test: " : " tests: ") why
    print "\n" passed " tests passed." (targets names == "" ? "" : " These failed:" targets names)
  }'
exit "$failed"

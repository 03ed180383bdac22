#!/usr/bin/env bash
# test.sh: runs every test of the workspace, and of the application beside it (client/beside). A failing test stops no other. The end lists
# all that failed, and what was skipped and why: a test that skips itself says `skipped: WHAT: WHY`.
#
# test.sh --terminal: runs rotatectl's tests again, in a terminal in place of a pipe.
set -uo pipefail
cd "$(dirname "$0")/../.."

log=$(mktemp) failed=0 colour=auto
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
# keeps colours, although the output goes through a pipe
if [ -t 1 ]; then colour=always; fi
cargo=(cargo test --workspace --all-features --no-fail-fast --color "$colour")

run() { "$@" 2>&1 | tee -a "$log" || failed=1; }

# in the same target folder, which has some of its dependencies already
beside() {
  local at=(--manifest-path client/beside/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}")
  cargo test "${at[@]}" --no-fail-fast --color "$colour" --tests -- --color "$colour" 2>&1 |
    sed "s|to rerun pass \`|&${at[*]:0:2} |"
}

if [ "${1:-}" != --terminal ]; then
  # if something does not build, its errors come here, and no test runs
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

# removes colours; cargo names a target after its failed tests
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

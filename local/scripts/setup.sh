#!/usr/bin/env bash
# Finds the programs that `make demo` and `make test` need, and installs missing ones if it may. `setup.sh browser` also finds a browser, for
# one test, `setup.sh bench` wrk for the benchmarks, and `setup.sh bench-aws` what AWS's functions need there. `setup.sh rust` looks only for
# Rust and a C compiler, which are enough for a release.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

# Looks for a PostgreSQL server, in the same places as the local world.
postgres() {
  [ -n "${POSTGRES_BIN:-}" ] && [ -x "$POSTGRES_BIN/initdb" ] && return
  command -v initdb >/dev/null && command -v postgres >/dev/null && return
  local bin
  for bin in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin \
             /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
    [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ] && return
  done
  return 1
}

# Installs Debian's packages, as root or with a sudo that asks for no password.
debian() {
  command -v apt-get >/dev/null || return 1
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || return 1
    sudo=(sudo -n)
  fi
  say "installing $* with apt-get"
  local log
  log=$(mktemp)
  if ! { "${sudo[@]}" apt-get update -qq &&
         "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
       } >"$log" 2>&1; then
    cat "$log" >&2
  fi
  rm -f "$log"
}

# need NAME CHECK DEBIAN-PACKAGES BREW-PACKAGES
need() {
  local what=$1 check=$2 packages=$3 brew=$4
  $check && return
  # shellcheck disable=SC2086 # a list of packages
  debian $packages && $check && return
  say "$what is missing, and this script may not install it. Type:"
  if [ "$(uname)" = Darwin ]; then say "    brew install $brew"; else say "    sudo apt-get install $packages"; fi
  exit 1
}

rust() { command -v cargo >/dev/null; }
compiler() { command -v cc >/dev/null; }

wrk() { command -v wrk >/dev/null; }
libpq() { pg_config --includedir >/dev/null 2>&1 && [ -e "$(pg_config --includedir)/libpq-fe.h" ]; }

# Looks in the same places as the test of the report.
browser() {
  [ -z "${NO_BROWSER:-}" ] || return 0
  [ -n "${CHROMIUM:-}" ] && [ -x "$CHROMIUM" ] && return
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable \
              "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
    command -v "$name" >/dev/null && return
  done
  return 1
}

needed=$(sed -n 's/^rust-version = "\(.*\)".*/\1/p' "$(dirname "$0")/../../Cargo.toml")
if ! rust; then
  say "Rust is missing, and this needs $needed or later. Install it with rustup (https://rustup.rs), then run this again in a new shell."
  exit 1
fi
found=$(cargo --version | cut -d' ' -f2)
if [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n 1)" != "$needed" ]; then
  say "cargo $found is too old, this needs $needed. Type:    rustup update"
  say "(if rustup did not install this cargo: get one from https://rustup.rs instead)"
  exit 1
fi
need "a C compiler" compiler build-essential gcc
[ "${1:-}" != rust ] || exit 0
need "PostgreSQL" postgres postgresql postgresql@17
[ "${1:-}" != bench ] || need "wrk, which the benchmark of the agent needs" wrk wrk wrk
[ "${1:-}" != bench-aws ] || need "libpq's headers, which PyGreSQL is built with" libpq libpq-dev libpq
if [ "${1:-}" = browser ]; then
  need "a browser for the test of rotatectl's report (NO_BROWSER=1 leaves that test out)" browser chromium "--cask google-chrome"
  # tests skip themselves without it, so it need not be there; Debian has it in a folder of root's PATH
  PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || debian pgbouncer || true
fi

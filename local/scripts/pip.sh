#!/usr/bin/env bash
# pip.sh FOLDER REQUIREMENTS: installs tools from PyPI into a virtual environment in this folder.
set -euo pipefail

folder=$1 requirements=$2

make_environment() { python3 -m venv --clear "$folder" 2>/dev/null; }

if ! make_environment; then
  if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv >/dev/null
  elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n apt-get update -qq
    sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv >/dev/null
  fi
  make_environment || {
    rm -rf "$folder"
    echo "Python's venv is missing. Type:    sudo apt-get install python3-venv" >&2
    exit 1
  }
fi
"$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"

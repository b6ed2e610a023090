#!/usr/bin/env bash
# Lists what the build needs and this system lacks, then installs it with apt (Debian 12, Ubuntu 24.04 and later),
# through sudo where needed. Does nothing, and needs no rights, when nothing is missing.
set -euo pipefail

has_command() { command -v "$1" >/dev/null 2>&1; }
has_header() {
  local directory
  for directory in ${CPATH:+${CPATH//:/ }} /usr/local/include /usr/include; do
    if [ -e "$directory/$1" ]; then return 0; fi
  done
  return 1
}

# package, then what it is for
missing=()
need() {
  missing+=("$1")
  echo "missing: $1 ($2)"
}
has_command c++ || need g++ "C++20 compiler"
has_command cmake || need cmake "build"
has_command ninja || need ninja-build "fast rebuilds"
has_header stb/stb_image.h || has_header stb_image.h || need libstb-dev "image files"
has_header nlohmann/json.hpp || need nlohmann-json3-dev "JSON"
has_header CLI/CLI.hpp || need libcli11-dev "command line"
has_header utf8proc.h || need libutf8proc-dev "Unicode in the tokenizer"
has_header catch2/catch_all.hpp || has_header catch2/catch.hpp || need catch2 "tests"

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if ! has_command apt-get; then
  echo "install_deps: no apt on this system; install the packages above by its own means, then run with DEPS=skip" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! has_command sudo; then
    echo "install_deps: neither root nor sudo; ask for: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"

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

# Without these the program runs, with less: what is lost is said.
optional=()
want() {
  optional+=("$1")
  echo "missing: $1 ($2; optional)"
}
[ -e /usr/share/wordnet/index.noun ] || want wordnet-base "WordNet: METEOR counts synonyms only with it"

if [ ${#missing[@]} -eq 0 ] && [ ${#optional[@]} -eq 0 ]; then exit 0; fi
# Nothing but optional packages is missing: then nothing that goes wrong here is an error.
give_up() {
  echo "install_deps: $1" >&2
  if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
  exit 1
}
if ! has_command apt-get; then
  give_up "no apt on this system; install the packages above by its own means, then run with DEPS=skip"
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! has_command sudo; then
    give_up "neither root nor sudo; ask for: apt-get install ${missing[*]} ${optional[*]}"
  fi
  as_root=(sudo)
  if [ ${#missing[@]} -eq 0 ]; then as_root+=(-n); fi  # no password is asked for what is optional
fi
apt_install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}
"${as_root[@]}" apt-get update -q || give_up "apt-get update failed"
if [ ${#missing[@]} -gt 0 ]; then apt_install "${missing[@]}"; fi
if [ ${#optional[@]} -gt 0 ]; then
  apt_install "${optional[@]}" || echo "install_deps: warning: could not install ${optional[*]}" >&2
fi

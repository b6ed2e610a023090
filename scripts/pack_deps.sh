#!/usr/bin/env bash
# pack_deps.sh DIR: copies what the build takes from the system besides the compiler (headers, and utf8proc's static
# library) into DIR, for a machine that cannot install packages: cmake -DGMAIL_DEPS_DIR=DIR, or scripts/gpu_check.sh.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: scripts/pack_deps.sh DIR" >&2; exit 2; }
dir=$1
mkdir -p "$dir/include" "$dir/lib"

copy_header() {  # copy_header NAME...: the first name that a system include folder has, with its folder
  local root name
  for root in ${CPATH:+${CPATH//:/ }} /usr/local/include /usr/include; do
    for name in "$@"; do
      [ -e "$root/$name" ] || continue
      cp -rLT "$root/$name" "$dir/include/$name"
      return 0
    done
  done
  echo "pack_deps: no $1 on this system (scripts/install_deps.sh installs it)" >&2
  return 1
}
copy_header stb
copy_header nlohmann
copy_header CLI
copy_header catch2
copy_header utf8proc.h
library=$(find /usr/lib /usr/local/lib -name libutf8proc.a -print -quit)
[ -n "$library" ] || { echo "pack_deps: no libutf8proc.a on this system" >&2; exit 1; }
cp -L "$library" "$dir/lib/"
echo "pack_deps: $(du -sh "$dir" | cut -f1) in $dir"

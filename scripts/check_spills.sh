#!/usr/bin/env bash
# Kernels that hold their data in registers: check_spills.sh [BUILD] reads what ptxas said of the kernels of
# cuda/no_spills.txt when the build compiled them, and fails if one of them, for any type and architecture,
# has a stack frame or spills registers, or is not there at all.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}

mapfile -t logs < <(find "$build" -name '*.cu.o.ptxas')
if [ "${#logs[@]}" -eq 0 ]; then
  echo "check_spills: no ptxas logs under $build; build with -DGMAIL_CUDA=ON first"
  exit 1
fi
awk '
  FILENAME == "cuda/no_spills.txt" {
    if ($0 ~ /^#/ || NF == 0) next
    ++listed
    file[listed] = $1
    kernel[listed] = $2
    mangled[listed] = length($2) $2  # as the C++ ABI writes a name
    next
  }
  /Compiling entry function/ {
    split($0, quoted, "\047")
    name = quoted[2]
    source = FILENAME
    sub(/.*\//, "", source)
    sub(/\.o\.ptxas$/, "", source)
  }
  /bytes stack frame/ && name != "" {
    for (i = 1; i <= listed; ++i) {
      if (source != file[i] || index(name, mangled[i]) == 0) continue
      ++seen[i]
      if ($1 + 0 == 0 && $5 + 0 == 0 && $9 + 0 == 0) continue
      print file[i] ": " kernel[i] ": " $0 "\n  " name
      ++bad
    }
    name = ""
  }
  END {
    for (i = 1; i <= listed; ++i)
      if (!seen[i]) {
        print file[i] ": " kernel[i] ": no such kernel in the build"
        ++bad
      } else
        kernels += seen[i]
    if (listed == 0) {
      print "check_spills: cuda/no_spills.txt lists nothing"
      ++bad
    }
    if (!bad) print "check_spills: " listed " kernels, " kernels " compiled forms, no spill"
    exit bad > 0
  }
' cuda/no_spills.txt "${logs[@]}"

#!/usr/bin/env bash
# House rules that a machine can check: formatting (where clang-format is installed), file length, line length,
# function length, no CUDA header under src/, and the direction of the dependencies between the folders of src/.
# Prints every violation and exits 1 if there was one.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t sources < <(git ls-files --cached --others --exclude-standard -- '*.h' '*.cpp' '*.cu' '*.cuh')
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
violations=$(mktemp)
trap 'rm -f "$violations"' EXIT

awk '
  FNR == 1 { lines = start = opened = 0 }
  { ++lines
    if (length($0) > 110) printf "%s:%d: line of %d characters, at most 110\n", FILENAME, FNR, length($0)
    if (lines == 401) printf "%s: more than 400 lines\n", FILENAME
    # A function starts at the margin, is no namespace or type, and ends with "}" at the margin ("};" ends a table).
    if (/^[A-Za-z].*[{(,]$/ && !/^(namespace|struct|class|enum|union|extern)/ && !start) start = FNR
    if (/^};/) start = 0
    if (/^}/ && start) {
      if (FNR - start + 1 > 60) printf "%s:%d: function of %d lines, at most 60\n", FILENAME, start, FNR - start + 1
      start = 0
    }
    if (/[{]$/) opened = FNR
    if (/;$/ && opened < start) start = 0 }  # a declaration over several lines
' "${sources[@]}" >>"$violations"

# What each folder may include besides itself; cli may include everything.
declare -A below=(
  [core]="" [ops]="core" [autograd]="ops core" [io]="core" [data]="core io" [nn]="autograd ops core io"
  [models]="nn autograd ops core io data" [train]="models nn autograd ops core io data"
  [eval]="models nn autograd ops core io data" [gmail]="eval train models nn autograd ops core io data"
  [report]="eval train models nn autograd ops core io data"
)
for file in "${sources[@]}"; do
  case $file in
    src/*)
      grep -nE '#include *[<"](cuda|cublas|cudnn|nv)[a-zA-Z_]*(_runtime|_fp16|_bf16|Lt|_v[0-9])?\.h' "$file" |
        sed "s|^|$file:|; s|\$|: no CUDA header under src/|" >>"$violations" || true
      folder=${file#src/}
      folder=${folder%%/*}
      if [ "$folder" = cli ] || [ "$folder" = capi ]; then continue; fi
      if [ -z "${below[$folder]+x}" ]; then
        echo "$file: src/$folder is not a folder of the house" >>"$violations"
        continue
      fi
      while IFS=: read -r line included; do
        if [[ " $folder ${below[$folder]} " != *" $included "* ]]; then
          echo "$file:$line: src/$folder must not include src/$included" >>"$violations"
        fi
      done < <(sed -nE 's|^#include "([a-z]+)/.*|\1|; t found; b; :found; =; p' "$file" | paste -d: - -)
      ;;
  esac
done

if command -v clang-format >/dev/null; then
  clang-format --dry-run --Werror "${sources[@]}" 2>&1 | grep -E '(error|warning):' >>"$violations" || true
else
  echo "lint: clang-format is not installed, formatting not checked"
fi
if [ "${TIDY:-0}" = 1 ]; then  # minutes: every file, against the flags of the last build
  printf '%s\n' "${sources[@]}" | grep -E '^src/.*\.cpp$' |
    xargs -P "$(nproc)" -n 1 clang-tidy -p build --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null |
    grep -E '(error|warning):' | sort -u >>"$violations" || true
fi
if command -v shellcheck >/dev/null; then
  shellcheck "${scripts[@]}" >>"$violations" || true
fi

if [ -s "$violations" ]; then
  cat "$violations"
  echo "lint: $(wc -l <"$violations") lines of complaints"
  exit 1
fi
echo "lint: ${#sources[@]} source files, no complaint"

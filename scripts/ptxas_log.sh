#!/usr/bin/env bash
# Runs nvcc (the arguments) and keeps what ptxas says of each kernel beside the object file, as OBJECT.ptxas,
# for scripts/check_spills.sh. Everything else nvcc says goes where it would have gone.
set -uo pipefail

object=
for ((i = 1; i < $#; ++i)); do
  if [ "${!i}" = -o ]; then
    next=$((i + 1))
    object=${!next}
  fi
done
if [ -z "$object" ]; then exec "$@"; fi
said=$(mktemp)
trap 'rm -f "$said"' EXIT
"$@" 2>"$said"
status=$?
about='^ptxas info|^    [0-9]+ bytes stack frame'
grep -E "$about" "$said" >"$object.ptxas"
grep -vE "$about" "$said" >&2
exit "$status"

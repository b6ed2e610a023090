#!/usr/bin/env bash
# Trains the built-in world's encoder f_r and generator from scratch and puts them into data/tabletop/, with the command,
# the commit, the training logs and the SHA-256 sums beside them. Interrupted, it goes on when called again.
#   scripts/tabletop_weights.sh PROGRAM [RUN_FOLDER]
set -euo pipefail
gmail=${1:?usage: tabletop_weights.sh PROGRAM [RUN_FOLDER]}
run=${2:-runs/tabletop-weights}
seed=${SEED:-0}
cd "$(dirname "$0")/.."

options=(demo --from-scratch --weights-only --seed "$seed" --out "$run")
"$gmail" "${options[@]}"

new=data/tabletop.new
rm -rf "$new"
mkdir -p "$new"
# checkpoints hold the optimiser's state too: they stay in the run folder
(cd "$run" && find clip generator -type f ! -name 'checkpoint*') | while read -r file; do
  mkdir -p "$new/$(dirname "$file")"
  cp "$run/$file" "$new/$file"
done
cat >"$new/README.md" <<TEXT
# The built-in world's pretrained models

\`clip/\` is f_r, trained on \`photo\` renderings; \`generator/\` is the text-conditional generator, trained on \`studio\`
renderings of other scenes. Both from scratch, stored in half precision; \`log.jsonl\` in each is its training log.

    gmail ${options[*]}        # make tabletop-weights

- seed: $seed
- commit: $(git describe --always --dirty --abbrev=12 --exclude='*')
- SHA-256 of every file: \`SHA256SUMS\` (\`sha256sum -c SHA256SUMS\` in this folder)
TEXT
sums=$(cd "$new" && find . -type f | LC_ALL=C sort | xargs sha256sum)
echo "$sums" >"$new/SHA256SUMS"

bytes=$(du -sb "$new" | cut -f1)
if [ "$bytes" -gt 8000000 ]; then
  echo "tabletop_weights: $bytes bytes in $new, more than 8 MB: not installed" >&2
  exit 1
fi
rm -rf data/tabletop
mv "$new" data/tabletop
echo "data/tabletop: $bytes bytes"

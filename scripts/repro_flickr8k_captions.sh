#!/usr/bin/env bash
# Captions of real photos, from nothing, on a CPU:
#   scripts/repro_flickr8k_captions.sh GMAIL_PROGRAM FLICKR8K_FOLDER
# Trains CLIP on the 6,000 training photos of Flickr8k, a small ClipCap on its embeddings of them, captions the 1,000 test
# photos, scores them, and prints captions for the twelve photos that the data set has in their original size.
#   BUDGET   minutes on two cores for all of it (default 40): the steps of both trainings are scaled by it
#   OUT      folder of the run (default runs/flickr8k_captions); what is there is continued
set -euo pipefail
full_budget=40 default_out=runs/flickr8k_captions
# shellcheck source=scripts/flickr8k_run.sh
. "$(dirname "$0")/flickr8k_run.sh"

pretrain_clip 2400

note captioner
"$gmail" caption train --model "$out/clip" --manifest "$manifest" --arm real --split train --features "$out/features" \
  --width 192 --layers 3 --heads 6 --prefix-length 10 --batch 128 --steps "$(steps 2000)" --lr 1e-3 --weight-decay 0.1 \
  --seed "$seed" --out "$out/captioner" --resume

note captions
"$gmail" caption run --captioner "$out/captioner" --model "$out/clip" --manifest "$manifest" --split test \
  --features "$out/features" --beam 5 --results "$out/results.json"
"$gmail" eval caption --manifest "$manifest" --split test --results "$out/results.json" --out "$out/scores.json"
"$gmail" caption run --captioner "$out/captioner" --model "$out/clip" --beam 5 "$data"/original_size/*.jpg |
  sed "s|^.*/||" | tee "$out/twelve.tsv"
note "done; $out/scores.json, $out/twelve.tsv"

#!/usr/bin/env bash
# GMAIL on real photos at 64 x 64, from nothing, on a CPU:
#   scripts/repro_flickr8k.sh GMAIL_PROGRAM FLICKR8K_FOLDER
# Trains CLIP and the generator on the 6,000 training photos of Flickr8k, draws an image for one caption of each, aligns,
# trains the text tower in every arm, and measures retrieval on the 1,000 test photos with five captions each.
#   BUDGET   minutes on two cores for all of it (default 85): the steps of each stage are scaled by it
#   OUT      folder of the run (default runs/flickr8k); what is there is continued
set -euo pipefail
full_budget=85 default_out=runs/flickr8k
# shellcheck source=scripts/flickr8k_run.sh
. "$(dirname "$0")/flickr8k_run.sh"

pretrain_clip 4000

note generator
"$gmail" generator --model "$out/clip" --manifest "$manifest" --split train --unet "$config/unet.json" --cache "$out/photos.cache" \
  --batch 32 --steps "$(steps 1500)" --lr 1e-3 --flip --seed "$seed" --out "$out/generator" --resume

note generate
"$gmail" generate --model "$out/clip" --generator "$out/generator" --manifest "$manifest" --split train --steps 15 \
  --guidance 3 --name flickr8k-small --limit "$(steps 2000)" --seed "$seed" --out "$out/generated"

note align
"$gmail" align --model "$out/clip" --manifest "$out/generated/manifest.jsonl" --real "$manifest" --batch 128 \
  --steps "$(steps 300)" --lr 1e-3 --seed "$seed" --out "$out/adapter" --resume

"$gmail" eval retrieval --model "$out/clip" --manifest "$manifest" --split test --out "$out/pretrained.json"
for arm in real generated mixed gmail; do
  note "arm $arm"
  "$gmail" finetune-text --model "$out/clip" --manifest "$out/generated/manifest.jsonl" --real "$manifest" \
    --adapter "$out/adapter" --arm "$arm" --lora-rank 4 --batch 128 --steps "$(steps 100)" --lr 2e-4 --seed "$seed" \
    --out "$out/arms/$arm" --resume
  "$gmail" eval retrieval --model "$out/arms/$arm" --manifest "$manifest" --split test --out "$out/$arm.json"
done
note "done; retrieval on the test photos: $out/pretrained.json, $out/{real,generated,mixed,gmail}.json"

# shellcheck shell=bash
# Sourced by the runs on Flickr8k: SCRIPT GMAIL_PROGRAM FLICKR8K_FOLDER, after full_budget=MINUTES default_out=FOLDER.
#   BUDGET   minutes on two cores for all of it (full_budget): the steps of each stage are scaled by it
#   OUT      folder of the run (default_out); what is there is continued
# Sets gmail, data, out, seed, config, manifest; imports the photos.
gmail=$1 data=$2
out=${OUT:-$default_out} budget=${BUDGET:-$full_budget} seed=${SEED:-0}
here=$(cd "$(dirname "$0")/.." && pwd)
config=$here/paper_repro/flickr8k_small
manifest=$out/photos/manifest.jsonl
steps() { echo $(($1 * budget / full_budget)); }  # steps N: what N steps of the full budget come to

begin=$SECONDS
note() { echo "== $* ($((SECONDS - begin)) s)"; }
mkdir -p "$out"

note import
"$gmail" import flickr8k --root "$data" --out "$out/photos"

# pretrain_clip STEPS: f_r from nothing on the training photos, in $out/clip
pretrain_clip() {
  note f_r
  "$gmail" pretrain --manifest "$manifest" --split train --model "$config/clip.json" --vocab 4096 --cache "$out/photos.cache" \
    --batch 128 --steps "$(steps "$1")" --lr 1e-3 --weight-decay 0.2 --crop 4 --flip --seed "$seed" --out "$out/clip" --resume
}

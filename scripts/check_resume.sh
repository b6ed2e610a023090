#!/usr/bin/env bash
# Kills `gmail pretrain` with SIGKILL at random moments, resumes it each time, and compares the weights with those of an
# uninterrupted run, byte by byte:
#   scripts/check_resume.sh GMAIL_PROGRAM [KILLS]
set -euo pipefail
gmail=$1 kills=${2:-20}
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
cat >"$run/clip.json" <<'JSON'
{"projection_dim": 32,
 "vision_config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                   "hidden_act": "quick_gelu", "image_size": 32, "patch_size": 8},
 "text_config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                 "hidden_act": "quick_gelu", "vocab_size": 640, "max_position_embeddings": 32}}
JSON
"$gmail" tabletop --out "$run/world" --count 256 --seed 3 >/dev/null
pretrain() {  # pretrain OUT: the same command every time
  "$gmail" pretrain --manifest "$run/world/manifest.jsonl" --model "$run/clip.json" --vocab 640 --cache "$run/images.cache" \
    --batch 32 --steps 400 --save-every 7 --seed 5 --quiet --resume --out "$1"
}
pretrain "$run/straight" >/dev/null

killed=0
while [ "$killed" -lt "$kills" ]; do
  pretrain "$run/killed" >/dev/null 2>"$run/error" &
  sleep "$(awk -v seed="$RANDOM" 'BEGIN { srand(seed); printf "%.3f", 0.05 + 0.9 * rand() }')"
  if ! kill -KILL $! 2>/dev/null; then  # it had finished: the kills go on with a fresh run
    wait $! || { cat "$run/error" >&2; exit 1; }
    cmp "$run/straight/model.safetensors" "$run/killed/model.safetensors"
    rm -rf "$run/killed"
    continue
  fi
  wait $! 2>/dev/null || true
  killed=$((killed + 1))
done
pretrain "$run/killed" >/dev/null
cmp "$run/straight/model.safetensors" "$run/killed/model.safetensors"
echo "check_resume: killed $kills times and resumed, the weights are the same bytes"

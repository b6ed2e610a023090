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
options=(pretrain --manifest "$run/world/manifest.jsonl" --model "$run/clip.json" --vocab 640 --cache "$run/images.cache"
  --batch 32 --steps 400 --save-every 7 --seed 5 --quiet --resume)  # the same command every time
"$gmail" "${options[@]}" --out "$run/straight" >/dev/null

killed=0 runs=1
while [ "$killed" -lt "$kills" ]; do
  "$gmail" "${options[@]}" --out "$run/killed" >/dev/null 2>"$run/error" &
  sleep "$(awk -v seed="$RANDOM" 'BEGIN { srand(seed); printf "%.3f", 0.02 + 0.4 * rand() }')"
  kill -KILL $! 2>/dev/null || true
  status=0
  wait $! 2>/dev/null || status=$?
  if [ $status -eq 137 ]; then
    killed=$((killed + 1))
  elif [ $status -eq 0 ]; then  # it had finished: the kills go on with a fresh run
    cmp "$run/straight/model.safetensors" "$run/killed/model.safetensors"
    rm -rf "$run/killed"
    runs=$((runs + 1))
  else
    cat "$run/error" >&2
    exit 1
  fi
done
"$gmail" "${options[@]}" --out "$run/killed" >/dev/null
cmp "$run/straight/model.safetensors" "$run/killed/model.safetensors"
echo "check_resume: killed $kills times in $runs runs and resumed, the weights are the same bytes"

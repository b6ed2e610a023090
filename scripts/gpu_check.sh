#!/usr/bin/env bash
# gpu_check.sh OUT [STEP...]: builds for the GPU of this machine and checks everything that needs one. Steps, all unless
# named: build ops audit demo sanitizer bench. Needs nvcc and CMake, no network; headers that are not installed come from
# the folder GMAIL_DEPS_DIR (scripts/pack_deps.sh fills one, default .deps), cuDNN from the system, from GMAIL_CUDNN_DIR
# or from a Python wheel. Leaves in OUT: a log a step, results.json, table.txt. Ends with 1 if a step failed.
# EMULATED=1 runs the same steps on the emulator, as far as it reaches, to check this script without a GPU.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
[ $# -ge 1 ] || { echo "usage: scripts/gpu_check.sh OUT [STEP...]" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
steps=${*:-build ops audit demo sanitizer bench}
emulated=${EMULATED:-0}
build="build-gpu"
[ "$emulated" = 1 ] && build="build-emu"
jobs=$(nproc)
device=cuda

cudnn_folder() {  # where a Python wheel keeps cuDNN, if one does
  local python
  for python in python3 python; do
    "$python" - 2>/dev/null <<'PYTHON' && return
import os, nvidia.cudnn
print(list(nvidia.cudnn.__path__)[0])
PYTHON
  done
  true
}

gpu_name() {
  if [ "$emulated" = 1 ]; then echo "emulator"; else
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -1
  fi
}

do_build() {
  local flags=(-DGMAIL_CUDA=ON -DGMAIL_CUDA_ARCHITECTURES=native)
  [ "$emulated" = 1 ] && flags=(-DGMAIL_CUDA=EMULATED -DCMAKE_CXX_FLAGS_RELEASE=-O1)
  [ -d "${GMAIL_DEPS_DIR:-.deps}" ] && flags+=("-DGMAIL_DEPS_DIR=$(cd "${GMAIL_DEPS_DIR:-.deps}" && pwd)")
  local cudnn=${GMAIL_CUDNN_DIR:-$(cudnn_folder)}
  [ -n "$cudnn" ] && flags+=("-DGMAIL_CUDNN_DIR=$cudnn")
  command -v ninja >/dev/null && flags+=(-G Ninja)
  cmake -S . -B $build "${flags[@]}" && cmake --build $build -j "$jobs"
}

do_ops() { $build/gmail_tests "[device]"; }

do_audit() {
  local step precision status=0 repeats=3 steps="pretrain align generator caption align_b32"
  [ "$emulated" = 1 ] && repeats=1 steps="pretrain align generator caption"
  for step in $steps; do
    for precision in fp32 bf16; do
      echo "== $step, $precision"
      $build/gmail audit --device $device --precision $precision --config "data/audit/$step.json" --quiet \
        --repeats $repeats --out "$out/audit_${step}_$precision.json" || status=1
    done
  done
  return $status
}

do_demo() {
  if [ "$emulated" = 1 ]; then  # two steps of one stage stand for the demo's thousands
    $build/gmail tabletop --out "$out/world" --splits train=8 --max-solids 1 --quiet &&
      $build/gmail pretrain --manifest "$out/world/manifest.jsonl" --model data/tabletop/clip/config.json --steps 2 \
        --batch 4 --device $device --precision bf16 --out "$out/clip" --quiet
    return
  fi
  $build/gmail demo --device $device --precision bf16 --out "$out/demo" && cp "$out/demo/results.json" "$out/demo.json"
}

do_sanitizer() {
  local tool log status=0
  command -v compute-sanitizer >/dev/null || { echo "compute-sanitizer is not installed"; return 77; }
  for tool in memcheck racecheck; do
    log=$(mktemp)
    compute-sanitizer --tool $tool --error-exitcode 1 $build/gmail_tests "device models*" >"$log" 2>&1
    status=$?
    cat "$log"
    if grep -q "Device not supported\|error 999" "$log"; then return 77; fi
    [ $status -eq 0 ] || return 1
  done
}

do_bench() {
  [ "$emulated" = 1 ] && { echo "the emulator's times mean nothing"; return 77; }
  $build/gmail bench gpu --cuda-graph --out "$out/bench.json"
}

run_step() {
  case $1 in
    build) do_build ;;
    ops) do_ops ;;
    audit) do_audit ;;
    demo) do_demo ;;
    sanitizer) do_sanitizer ;;
    bench) do_bench ;;
    *) echo "there is no step $1" && return 2 ;;
  esac
}

rows=()
json=()
failed=0
for step in $steps; do
  begin=$SECONDS
  echo "== $step"
  run_step "$step" 2>&1 | tee "$out/$step.log"
  case ${PIPESTATUS[0]} in
    0) result=ok ;;
    77) result=skipped ;;
    *) result="FAILED" && failed=1 ;;
  esac
  seconds=$((SECONDS - begin))
  note=$(tail -1 "$out/$step.log" | tr -dc '[:print:]' | sed 's,["\\],,g' | cut -c1-90)
  rows+=("$(printf '%-10s %-8s %5d s  %s' "$step" "$result" "$seconds" "$note")")
  json+=("$(printf '{"step": "%s", "result": "%s", "seconds": %d, "note": "%s"}' "$step" "$result" "$seconds" "$note")")
done

commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
{
  printf '%s, commit %s, %s\n' "$(gpu_name)" "$commit" "$(date -u +%Y-%m-%d)"
  printf '%s\n' "${rows[@]}"
} | tee "$out/table.txt"
{
  printf '{"gpu": "%s", "commit": "%s", "steps": [\n  ' "$(gpu_name)" "$commit"
  (IFS=$'\n'; printf '%s' "${json[*]}" | paste -sd, | sed 's/},{/},\n  {/g')
  printf '\n]}\n'
} >"$out/results.json"
exit $failed

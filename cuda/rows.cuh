// Ops that treat each row on its own: a warp a row, kRows warps a block. A row that is not there is the whole
// warp's to leave, so no lane misses a shuffle.
#pragma once

#include "device_span.h"
#include "reduce.cuh"

namespace gmail::cuda {

constexpr int kRows = 4;

__device__ inline int lane() { return static_cast<int>(threadIdx.x % kWarp); }
__device__ inline int64_t row() { return int64_t{blockIdx.x} * kRows + threadIdx.x / kWarp; }

template <class... P, class... A>
void launch_rows(At at, void (*kernel)(P...), int64_t N, A&&... arguments) {
  if (N > 0) launch(at, kernel, blocks_for(N, kRows), kRows * kWarp, 0, std::forward<A>(arguments)...);
}

}  // namespace gmail::cuda

// Sums and maxima over a warp or a block, always in the same order: the same bits in every run.
#pragma once

#include "launch.h"

namespace gmail::cuda {

constexpr unsigned kAllLanes = 0xffffffffU;

struct Sum {
  static constexpr float kNone = 0;
  __device__ static float of(float a, float b) { return a + b; }
};
struct Max {  // a NaN wins
  static constexpr float kNone = -__builtin_huge_valf();
  __device__ static float of(float a, float b) { return a > b || a != a ? a : b; }
};

// every lane gets the result
template <class Op>
__device__ float warp_reduce(float v) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) v = Op::of(v, __shfl_xor_sync(kAllLanes, v, lanes));
  return v;
}

// Every thread gets the result. `partial` holds 32 floats of shared memory; a caller may use it again at
// once.
template <class Op>
__device__ float block_reduce(float v, float* partial) {
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  v = warp_reduce<Op>(v);
  if (lane == 0) partial[warp] = v;
  __syncthreads();
  v = lane < warps ? partial[lane] : Op::kNone;
  __syncthreads();
  return warp_reduce<Op>(v);
}

// log sum exp of what is added, with the largest one, m, taken out: s = sum exp(v - m). One pass.
struct LogSum {
  float m = Max::kNone, s = 0;
  // what to subtract: the largest, or 0 if there is nothing but -inf so far
  __device__ static float zero(float largest) { return largest == Max::kNone ? 0 : largest; }
  __device__ void add(float v) { join(v, 1); }
  __device__ void join(float other_m, float other_s) {
    const float larger = Max::of(m, other_m);
    s = s * expf(m - zero(larger)) + other_s * expf(other_m - zero(larger));
    m = larger;
  }
  __device__ float value() const { return m + logf(s); }
  // that of all threads, in every thread
  __device__ float of_block(float* partial) const {
    const float all = block_reduce<Max>(m, partial);
    return all + logf(block_reduce<Sum>(s * expf(m - zero(all)), partial));
  }
};

}  // namespace gmail::cuda

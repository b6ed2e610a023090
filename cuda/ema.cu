#include "ops/ema.h"

#include "four.cuh"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

template <bool kAligned>
__global__ void ema_kernel(DeviceSpan<float> e, DeviceSpan<const float> p, DeviceSpan<const float> factors,
                           int64_t n) {
  const int64_t i = 4 * (int64_t{blockIdx.x} * kThreads + threadIdx.x);
  if (i >= n) return;
  float E[4], P[4];
  load4<kAligned>(E, e, i, n);
  load4<kAligned>(P, p, i, n);
  for (int j = 0; j < 4; ++j) E[j] = factors[0] * E[j] + factors[1] * P[j];  // (1)
  store4<kAligned>(e, E, i, n);
}

}  // namespace

void ema(Tensor& e, const Tensor& p, const Tensor& factors, Stream stream) {
  const int64_t n = ema_size(e, p, factors);
  if (n == 0) return;
  with_alignment(aligned16(e, p), [&](auto aligned) {
    launch(stream, ema_kernel<decltype(aligned)::value>, blocks_for(n, 4 * kThreads), kThreads, 0,
           span<float>(e), span<float>(p), span<float>(factors), n);
  });
}

}  // namespace gmail::cuda

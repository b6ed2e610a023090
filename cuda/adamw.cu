#include "ops/adamw.h"

#include "four.cuh"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

template <bool kAligned>
__global__ void adamw_kernel(DeviceSpan<float> p, DeviceSpan<float> m, DeviceSpan<float> v,
                             DeviceSpan<const float> grads, DeviceSpan<const float> scale,
                             DeviceSpan<const float> factors, int64_t n, int64_t decayed) {
  const float s = scale[0];
  const int64_t i = 4 * (int64_t{blockIdx.x} * kThreads + threadIdx.x);
  if (s != s || i >= n) return;
  const AdamWFactors f{factors[0], factors[1], factors[2], factors[3],
                       factors[4], factors[5], factors[6], factors[7]};
  float P[4], M[4], V[4], G[4];
  load4<kAligned>(P, p, i, n);
  load4<kAligned>(M, m, i, n);
  load4<kAligned>(V, v, i, n);
  load4<kAligned>(G, grads, i, n);
  for (int j = 0; j < 4; ++j) {
    const float g = G[j] * s;
    M[j] = f.b1 * M[j] + f.one_minus_b1 * g;                                         // (2)
    V[j] = f.b2 * V[j] + f.one_minus_b2 * (g * g);                                   // (2)
    const float keep = i + j < decayed ? f.keep : 1.0F;                              // (1)
    P[j] = P[j] * keep - f.step * M[j] / (sqrtf(V[j]) * f.root_correction + f.eps);  // (3)
  }
  store4<kAligned>(p, P, i, n);
  store4<kAligned>(m, M, i, n);
  store4<kAligned>(v, V, i, n);
}

}  // namespace

void adamw(Tensor& p, Tensor& m, Tensor& v, const Tensor& grads, const Tensor& scale, const Tensor& factors,
           int64_t decayed, Stream stream) {
  const int64_t n = adamw_size(p, m, v, grads, scale, factors, decayed);
  if (n == 0) return;
  with_alignment(aligned16(p, m, v, grads), [&](auto aligned) {
    launch(stream, adamw_kernel<decltype(aligned)::value>, blocks_for(n, 4 * kThreads), kThreads, 0,
           span<float>(p), span<float>(m), span<float>(v), span<float>(grads), span<float>(scale),
           span<float>(factors), n, decayed);
  });
}

}  // namespace gmail::cuda

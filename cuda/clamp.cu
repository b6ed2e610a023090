#include "ops/clamp.h"

#include "device_span.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 32;  // it is for scalars

__global__ void clamp_kernel(DeviceSpan<float> x, float low, float high, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) x[i] = x[i] < low ? low : x[i] > high ? high : x[i];  // (1)
}

}  // namespace

void clamp(Tensor& x, double low, double high, Stream stream) {
  launch(stream, clamp_kernel, blocks_for(x.numel(), kThreads), kThreads, 0, span<float>(x),
         static_cast<float>(low), static_cast<float>(high), x.numel());
}

}  // namespace gmail::cuda

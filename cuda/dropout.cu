#include "ops/dropout.h"

#include "device_span.h"
#include "philox.cuh"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// y (+)= x m / (1 - p), four elements a thread
template <class T>
__global__ void apply_kernel(GradSpan<T> y, DeviceSpan<const T> x, int64_t n, PhiloxStream stream,
                             unsigned limit, float factor) {
  const int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (4 * k >= n) return;
  const Words words = philox_block(stream, k);
  for (int j = 0; j < 4; ++j) {
    const int64_t i = 4 * k + j;
    if (i < n) y.put(i, words.w[j] >= limit ? load(x[i]) * factor : 0.0F);
  }
}

}  // namespace

void dropout_forward(Tensor& y, const Tensor& x, double p, const DropoutKey& key, Stream stream) {
  dropout_backward({y, false}, x, p, key, stream);
}

void dropout_backward(Grad dx, const Tensor& dy, double p, const DropoutKey& key, Stream stream) {
  if (!dx) return;
  GMAIL_CHECK(dx.t.shape() == dy.shape(), "[dropout] shapes differ: ", dx.t.shape(), " and ", dy.shape());
  const int64_t n = dy.numel();
  const uint32_t limit = dropout_threshold(p);
  if (n == 0) return;
  with_device_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, apply_kernel<T>, blocks_for(n, 4 * kThreads), kThreads, 0, grad<T>(dx), span<T>(dy), n,
           philox_stream(key.seed, Purpose::dropout, key.step, key.index), limit,
           static_cast<float>(1 / (1 - p)));
  });
}

}  // namespace gmail::cuda

#include "trial.h"

#include "core/device_memory.h"
#include "device_span.h"
#include "philox.cuh"
#include "total.cuh"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

// four elements a thread
template <class T>
__global__ void uniform_kernel(DeviceSpan<T> x, int64_t n, PhiloxStream stream) {
  const int64_t k = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (4 * k >= n) return;
  const Words words = philox_block(stream, k);
  for (int64_t i = 4 * k; i < 4 * k + 4 && i < n; ++i)
    x[i] = store<T>(static_cast<float>(words.w[i - 4 * k] >> 8U) * 0x1p-23F - 1);
}

// 1 where the elements differ
template <class T>
struct Differs {
  DeviceSpan<const T> a, b;
  __device__ float operator()(int64_t i) const {
    return __float_as_uint(load(a[i])) == __float_as_uint(load(b[i])) ? 0.0F : 1.0F;
  }
};

}  // namespace

void fill_uniform(Tensor& t, uint64_t seed, Stream stream) {
  if (t.numel() == 0) return;
  with_device_type(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, uniform_kernel<T>, blocks_for(t.numel(), int64_t{4} * kThreads), kThreads, 0, span<T>(t),
           t.numel(), philox_stream(seed, Purpose::bench, 0, 0));
  });
}

bool equal_bits(const Tensor& a, const Tensor& b, Stream stream) {
  GMAIL_CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(), "[trial] ", a.shape(), ' ',
              name_of(a.dtype()), " is compared with ", b.shape(), ' ', name_of(b.dtype()));
  Tensor differing = temporary({1}, DType::float32, stream);
  with_device_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Grad out{differing};
    total(grad<float>(out), Differs<T>{span<T>(a), span<T>(b)}, a.numel(), 1, stream);
  });
  wait_for(stream);
  return differing.item() == 0;
}

}  // namespace gmail::cuda

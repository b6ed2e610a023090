#include "ops/dropout.h"

#include "each.cuh"
#include "philox.cuh"

namespace gmail::cuda {
namespace {

// y (+)= x m / (1 - p); word i of the stream decides on element i
template <class T>
struct Apply {
  GradSpan<T> y;
  DeviceSpan<const T> x;
  PhiloxStream stream;
  unsigned limit;
  float factor;
  template <int K>
  __device__ void at(int64_t i) const {
    const Pack<T, K> v = read_pack<K>(x, i);
    float out[K];
    if constexpr (K == 1) {
      const Words words = philox_block(stream, i / 4);
      const unsigned low = i % 2 == 0 ? words.w[0] : words.w[1], high = i % 2 == 0 ? words.w[2] : words.w[3];
      out[0] = (i % 4 < 2 ? low : high) >= limit ? v[0] * factor : 0.0F;
    } else {
      for (int k = 0; k < K; k += 4) {
        const Words words = philox_block(stream, (i + k) / 4);
        for (int j = 0; j < 4; ++j) out[k + j] = words.w[j] >= limit ? v[k + j] * factor : 0.0F;
      }
    }
    put_pack<K>(y, i, out);
  }
};

}  // namespace

void dropout_forward(Tensor& y, const Tensor& x, double p, const DropoutKey& key, Stream stream) {
  dropout_backward({y, false}, x, p, key, stream);
}

void dropout_backward(Grad dx, const Tensor& dy, double p, const DropoutKey& key, Stream stream) {
  if (!dx) return;
  GMAIL_CHECK(dx.t.shape() == dy.shape(), "[dropout] shapes differ: ", dx.t.shape(), " and ", dy.shape());
  const uint32_t limit = dropout_threshold(p);
  with_device_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Apply<T> op{grad<T>(dx), span<T>(dy),
                      philox_stream(key.seed, Purpose::dropout, key.step, key.index), limit,
                      static_cast<float>(1 / (1 - p))};
    each<kWide<T>>(op, dy.numel(), aligned(op.y, op.x), stream);
  });
}

}  // namespace gmail::cuda

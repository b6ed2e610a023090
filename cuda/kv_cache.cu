#include "ops/kv_cache.h"

#include "each.cuh"

namespace gmail::cuda {
namespace {

// eq. (1); i runs over (R, T, C), and what lies behind the position is not touched
template <class T>
struct Append {
  DeviceSpan<T> to;
  DeviceSpan<const T> from, row;
  DeviceSpan<const int32_t> source, position;
  CacheSizes s;
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t token = i / s.C, c = i - token * s.C, r = token / s.T, t = token - r * s.T;
    const int64_t n = position[0];
    if (t > n) return;
    float out[K];
    if (t == n) {
      if (!row) return;
      const Pack<T, K> v = read_pack<K>(row, r * s.C + c);
      for (int k = 0; k < K; ++k) out[k] = v[k];
    } else {
      if (!from) return;
      const int64_t b = source[r];
      if (b < 0 || b >= s.from_rows || t >= s.from_T) return;
      const Pack<T, K> v = read_pack<K>(from, (b * s.from_T + t) * s.C + c);
      for (int k = 0; k < K; ++k) out[k] = v[k];
    }
    write_pack<K>(to, i, out);
  }
};

// eq. (2); i runs over (R, T)
struct Seen {
  DeviceSpan<int32_t> seen;
  DeviceSpan<const int32_t> position;
  int64_t T;
  template <int K>
  __device__ void at(int64_t i) const {
    for (int k = 0; k < K; ++k) seen[i + k] = (i + k) % T <= position[0] ? 1 : 0;
  }
};

}  // namespace

void kv_append(Tensor& to, const Tensor& from, const Tensor& source, const Tensor& row,
               const Tensor& position, Stream stream) {
  const CacheSizes s = cache_sizes(to, from, source, row, position);
  with_device_type(to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Append<T> op{span<T>(to),           span<T>(from),           span<T>(row),
                       span<int32_t>(source), span<int32_t>(position), s};
    each<kWide<T>>(op, to.numel(), s.C % kWide<T> == 0 && aligned(op.to, op.from, op.row), stream);
  });
}

void kv_seen(Tensor& seen, const Tensor& position, Stream stream) {
  GMAIL_CHECK(seen.rank() == 2, "[kv_cache] expected (R, T), got ", seen.shape());
  each<1>(Seen{span<int32_t>(seen), span<int32_t>(position), seen.size(1)}, seen.numel(), false, stream);
}

}  // namespace gmail::cuda

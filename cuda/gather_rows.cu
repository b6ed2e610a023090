#include "ops/gather_rows.h"

#include "each.cuh"

namespace gmail::cuda {
namespace {

// eq. (1); i runs over (B, C). An index that is none gives NaN.
template <class T>
struct Forward {
  DeviceSpan<T> y;
  DeviceSpan<const T> x;
  DeviceSpan<const int32_t> index;
  GatherSizes s;
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t b = i / s.C, c = i - b * s.C, t = index[b];
    const bool there = t >= 0 && t < s.T;
    const Pack<T, K> v = read_pack<K>(x, (b * s.T + (there ? t : 0)) * s.C + c);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = there ? v[k] : __uint_as_float(0x7fc00000U);
    write_pack<K>(y, i, out);
  }
};

// eq. (2) added to what is there: one token a row changes; i runs over (B, C)
template <class T>
struct Add {
  GradSpan<T> dx;
  DeviceSpan<const T> dy;
  DeviceSpan<const int32_t> index;
  GatherSizes s;
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t b = i / s.C, c = i - b * s.C, t = index[b];
    if (t < 0 || t >= s.T) return;
    const Pack<T, K> v = read_pack<K>(dy, i);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = v[k];
    put_pack<K>(dx, (b * s.T + t) * s.C + c, out);
  }
};

// eq. (2); i runs over (B, T, C)
template <class T>
struct Backward {
  GradSpan<T> dx;
  DeviceSpan<const T> dy;
  DeviceSpan<const int32_t> index;
  GatherSizes s;
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t token = i / s.C, b = token / s.T, t = token - b * s.T, c = i - token * s.C;
    const bool taken = t == index[b];
    Pack<T, K> v = {};
    if (taken) v = read_pack<K>(dy, b * s.C + c);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = v[k];
    put_pack<K>(dx, i, out);
  }
};

}  // namespace

void gather_rows_forward(Tensor& y, const Tensor& x, const Tensor& index, Stream stream) {
  const GatherSizes s = gather_rows_sizes(x, index, y);
  with_device_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Forward<T> op{span<T>(y), span<T>(x), span<int32_t>(index), s};
    each<kWide<T>>(op, y.numel(), s.C % kWide<T> == 0 && aligned(op.y, op.x), stream);
  });
}

void gather_rows_backward(Grad dx, const Tensor& dy, const Tensor& index, Stream stream) {
  if (!dx) return;
  const GatherSizes s = gather_rows_sizes(dx.t, index, dy);
  with_device_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const bool rows_wide = s.C % kWide<T> == 0;
    if (dx.add) {
      const Add<T> op{grad<T>(dx), span<T>(dy), span<int32_t>(index), s};
      return each<kWide<T>>(op, dy.numel(), rows_wide && aligned(op.dx, op.dy), stream);
    }
    const Backward<T> op{grad<T>(dx), span<T>(dy), span<int32_t>(index), s};
    each<kWide<T>>(op, dx.t.numel(), rows_wide && aligned(op.dx, op.dy), stream);
  });
}

}  // namespace gmail::cuda

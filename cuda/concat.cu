#include "ops/concat.h"

#include "each.cuh"

namespace gmail::cuda {
namespace {

// where the piece's element i stands in the whole
__device__ int64_t in_whole(int64_t i, PieceSizes s) {
  const int64_t outer = i / s.piece;
  return outer * s.width + s.offset + (i - outer * s.piece);
}

// no pack of a piece or of the whole crosses an edge
template <class T>
bool whole_packs(PieceSizes s) {
  return s.width % kWide<T> == 0 && s.piece % kWide<T> == 0 && s.offset % kWide<T> == 0;
}

template <int K, class T>
__device__ void put_values(const GradSpan<T>& to, int64_t i, const Pack<T, K>& from) {
  float v[K];
  for (int k = 0; k < K; ++k) v[k] = from[k];
  put_pack<K>(to, i, v);
}

// eq. (1), concat: the piece's elements to their places in the whole
template <class T>
struct Put {
  GradSpan<T> whole;
  DeviceSpan<const T> piece;
  PieceSizes s;
  template <int K>
  __device__ void at(int64_t i) const {
    put_values<K>(whole, in_whole(i, s), read_pack<K>(piece, i));
  }
};

// eq. (1), slice; eq. (2), concat
template <class T>
struct Take {
  GradSpan<T> piece;
  DeviceSpan<const T> whole;
  PieceSizes s;
  template <int K>
  __device__ void at(int64_t i) const {
    put_values<K>(piece, i, read_pack<K>(whole, in_whole(i, s)));
  }
};

// eq. (2), slice: i runs over the whole
template <class T>
struct Spread {
  GradSpan<T> whole;
  DeviceSpan<const T> piece;
  PieceSizes s;
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t outer = i / s.width, begin = i - outer * s.width - s.offset;
    const bool inside = begin >= 0 && begin < s.piece;
    if (!inside && whole.add) return;
    Pack<T, K> v = {};
    if (inside) v = read_pack<K>(piece, outer * s.piece + begin);
    put_values<K>(whole, i, v);
  }
};

void take(Grad piece, const Tensor& whole, PieceSizes s, Stream stream) {
  with_device_type(whole.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Take<T> op{grad<T>(piece), span<T>(whole), s};
    each<kWide<T>>(op, s.outer * s.piece, whole_packs<T>(s) && aligned(op.piece, op.whole), stream);
  });
}

}  // namespace

void concat_forward(Tensor& y, const std::vector<Tensor>& parts, int dim, Stream stream) {
  int64_t begin = 0;
  for (const Tensor& part : parts) {
    const PieceSizes s = piece_sizes(y, part, dim, begin);
    with_device_type(y.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const Put<T> op{{span<T>(y)}, span<T>(part), s};
      each<kWide<T>>(op, s.outer * s.piece, whole_packs<T>(s) && aligned(op.whole, op.piece), stream);
    });
    begin += part.size(dim);
  }
  GMAIL_CHECK(begin == y.size(dim), "[concat] the parts fill ", begin, " of ", y.size(dim), " in dimension ",
              dim);
}

void concat_backward(Grad dpart, const Tensor& dy, int dim, int64_t begin, Stream stream) {
  if (dpart) take(dpart, dy, piece_sizes(dy, dpart.t, dim, begin), stream);
}

void slice_forward(Tensor& y, const Tensor& x, int dim, int64_t begin, Stream stream) {
  take({y, false}, x, piece_sizes(x, y, dim, begin), stream);
}

void slice_backward(Grad dx, const Tensor& dy, int dim, int64_t begin, Stream stream) {
  if (!dx) return;
  const PieceSizes s = piece_sizes(dx.t, dy, dim, begin);
  with_device_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Spread<T> op{grad<T>(dx), span<T>(dy), s};
    each<kWide<T>>(op, s.outer * s.width, whole_packs<T>(s) && aligned(op.whole, op.piece), stream);
  });
}

}  // namespace gmail::cuda

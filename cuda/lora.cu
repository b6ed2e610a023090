#include "ops/lora.h"

#include "blas.h"
#include "each.cuh"
#include "ops/linear.h"
#include "temporary.h"

namespace gmail::cuda {
namespace {

// eq. (2): v = w + s b a, element i of (O, I)
template <class W, class V>
struct Merge {
  DeviceSpan<V> v;
  DeviceSpan<const W> w;
  DeviceSpan<const float> a, b;  // (r, I), (O, r)
  int64_t I, rank;
  float scale;
  template <int K>
  __device__ void at(int64_t i) const {
    const int64_t o = i / I, column = i - o * I;
    float sum[K] = {};
    for (int64_t k = 0; k < rank; ++k) {
      const float factor = b[o * rank + k];
      const Pack<float, K> row = read_pack<K>(a, k * I + column);
      GMAIL_UNROLL
      for (int j = 0; j < K; ++j) sum[j] += factor * row[j];
    }
    const Pack<W, K> base = read_pack<K>(w, i);
    GMAIL_UNROLL
    for (int j = 0; j < K; ++j) sum[j] = base[j] + scale * sum[j];
    write_pack<K>(v, i, sum);
  }
};

void merge(Tensor& v, const LoraLayer& layer, Stream stream) {
  const int64_t I = layer.w.size(1);
  const Tensor a = in_type(layer.a, DType::float32, stream), b = in_type(layer.b, DType::float32, stream);
  with_device_type(v.dtype(), [&](auto merged) {
    with_device_type(layer.w.dtype(), [&](auto base) {
      using V = decltype(merged);
      using W = decltype(base);
      const Merge<W, V> op{span<V>(v),
                           span<W>(layer.w),
                           span<float>(a),
                           span<float>(b),
                           I,
                           a.size(0),
                           static_cast<float>(layer.scale)};
      each<kWide<V>>(op, v.numel(), I % kWide<V> == 0 && aligned(op.v, op.w, op.a), stream);
    });
  });
}

// A matrix (rows, width) in the upper rows of a larger one, from column `begin` on, with zeros around it
template <class T>
struct Place {
  DeviceSpan<T> to;
  DeviceSpan<const float> from;
  int64_t columns, begin, rows, width;  // columns: of `to`
  template <int K>
  __device__ void at(int64_t i) const {
    static_assert(K == 1);
    const int64_t row = i / columns, column = i - row * columns - begin;
    const bool inside = row < rows && column >= 0 && column < width;
    to[i] = store<T>(inside ? from[row * width + column] : 0.0F);
  }
};

void place(Tensor to, const Tensor& matrix, int64_t begin, Stream stream) {
  const Tensor from = in_type(matrix, DType::float32, stream);
  with_device_type(to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Place<T> op{span<T>(to), span<float>(from), to.size(1), begin, from.size(0), from.size(1)};
    each<1>(op, to.numel(), false, stream);
  });
}

// The way back: a gradient (rows, width) from where it stands in a larger matrix, from element `begin` on
template <class T>
struct Take {
  GradSpan<T> to;
  DeviceSpan<const float> from;
  int64_t width, columns, begin;  // columns: of `from`
  template <int K>
  __device__ void at(int64_t i) const {
    static_assert(K == 1);
    const int64_t row = i / width;
    to.put(i, from[row * columns + begin + (i - row * width)]);
  }
};

void take(Grad to, const Tensor& from, int64_t begin, Stream stream) {
  with_device_type(to.t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Take<T> op{grad<T>(to), span<float>(from), to.t.size(1), from.size(1), begin};
    each<1>(op, to.t.numel(), false, stream);
  });
}

// The columns of l and dl, and the rows of [a_1; a_2; ...], that belong to the layers whose a or b is trained
struct Ranks {
  std::vector<int64_t> begin;  // -1: not trained
  int64_t R = 0;               // of all, in whole packs of 16 bytes for the products
  bool da = false, db = false;
  Ranks(const std::vector<LoraGrads>& grads, const std::vector<Tensor>& dy,
        const std::vector<LoraLayer>& layers) {
    for (size_t i = 0; i < layers.size(); ++i) {
      const bool trained = dy[i] && (grads[i].da || grads[i].db);
      begin.push_back(trained ? R : -1);
      if (!trained) continue;
      R += layers[i].a.size(0);
      da = da || grads[i].da;
      db = db || grads[i].db;
    }
    R = (R + 15) / 16 * 16;
  }
};

// l = x [a_1; a_2; ...]^T of eq. (4), (N, R)
Tensor low(const Tensor& x, const std::vector<LoraLayer>& layers, const Ranks& ranks, Stream stream) {
  const int64_t R = ranks.R, I = x.size(-1), N = x.numel() / I;
  const Tensor a = temporary({R, I}, x.dtype(), stream), l = temporary({N, R}, x.dtype(), stream);
  for (size_t i = 0; i < layers.size(); ++i)  // what follows an a is zero until the next one overwrites it
    if (ranks.begin[i] >= 0) place(a.rows(ranks.begin[i], R), layers[i].a, 0, stream);
  product({.m = N, .n = R, .k = I, .a = {&x, I}, .b = {&a, I, true}, .c = l, .ldc = R}, stream);
  return l;
}

// dl = s dy b of eq. (4) in the layer's columns, zero in the others; or added to what is there
void low_gradient(Grad dl, const Tensor& dy, const LoraLayer& layer, int64_t begin, Stream stream) {
  const int64_t O = layer.b.size(0), R = dl.t.size(1);
  const Tensor b = temporary({O, R}, dy.dtype(), stream);
  place(b, layer.b, begin, stream);
  product({.m = dl.t.size(0),
           .n = R,
           .k = O,
           .a = {&dy, O},
           .b = {&b, R},
           .c = dl.t,
           .ldc = R,
           .alpha = static_cast<float>(layer.scale),
           .beta = dl.add ? 1.0F : 0.0F},
          stream);
}

// scale left^T right in float32: the gradient of a factor for all columns of l or dl
Tensor sums(const Tensor& left, const Tensor& right, double scale, Stream stream) {
  const int64_t m = left.size(-1), n = right.size(-1);
  const Tensor c = temporary({m, n}, DType::float32, stream);
  product({.m = m,
           .n = n,
           .k = left.numel() / m,
           .a = {&left, m, true},
           .b = {&right, n},
           .c = c,
           .ldc = n,
           .alpha = static_cast<float>(scale)},
          stream);
  return c;
}

}  // namespace

void lora_forward(Tensor& y, Tensor& v, const Tensor& x, const LoraLayer& layer, Stream stream) {
  if (layer.a) merge(v, layer, stream);
  linear_forward(y, x, layer.a ? v : layer.w, layer.bias, layer.residual, 1, stream);
}

// The products that read one dy follow each other: it may still be in the cache.
void lora_backward(Grad dx, std::vector<LoraGrads> grads, const std::vector<Tensor>& dy, const Tensor& x,
                   const std::vector<LoraLayer>& layers, const std::vector<Tensor>& v, Stream stream) {
  const Ranks ranks(grads, dy, layers);
  const Tensor l = ranks.db ? low(x, layers, ranks, stream) : Tensor();
  Grad dl{ranks.da ? temporary({x.numel() / x.size(-1), ranks.R}, x.dtype(), stream) : Tensor()};
  for (size_t i = layers.size(); i-- > 0;) {
    if (!dy[i]) continue;
    const LoraLayer& layer = layers[i];
    const LoraGrads& g = grads[i];
    linear_backward(dx, g.dw, g.dbias, dy[i], x, layer.a ? v[i] : layer.w, 1, stream);  // eq. (3)
    dx.add = true;
    if (g.db) take(g.db, sums(dy[i], l, layer.scale, stream), ranks.begin[i], stream);
    if (g.da) low_gradient(dl, dy[i], layer, ranks.begin[i], stream);
    dl.add = dl.add || g.da;
  }
  if (!ranks.da) return;
  const Tensor da = sums(dl.t, x, 1, stream);  // (R, I)
  for (size_t i = layers.size(); i-- > 0;)
    if (grads[i].da) take(grads[i].da, da, ranks.begin[i] * da.size(1), stream);
}

}  // namespace gmail::cuda

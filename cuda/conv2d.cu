#include "ops/conv2d.h"

#include "column_sums.cuh"
#include "dnn_ops.h"
#include "tile_product.cuh"

namespace gmail::cuda {
namespace {

struct Conv {
  int64_t B, H, W, I, O, kh, kw, Ho, Wo, stride, pad;
};

Conv sizes_of(const Shape& x, const Shape& w, int stride, int pad) {
  const Shape y = conv2d_shape(x, w, stride, pad);
  return {x[0], x[1], x[2], x[3], w[0], w[2], w[3], y[1], y[2], stride, pad};
}

// Element (tap, channel) of the weights (O, I, kh, kw); a sum over taps and channels runs over channels
// first.
__device__ int64_t weight_index(const Conv& s, int64_t o, int64_t i, int64_t tap) {
  return (o * s.I + i) * s.kh * s.kw + tap;
}

// The pixel of x that tap p, q of output pixel (b, u, v) meets; -1 in the padding.
__device__ int64_t source(const Conv& s, int64_t pixel, int64_t tap) {
  const int64_t v = pixel % s.Wo, u = pixel / s.Wo % s.Ho, b = pixel / (s.Wo * s.Ho);
  const int64_t h = u * s.stride - s.pad + tap / s.kw, w = v * s.stride - s.pad + tap % s.kw;
  return h >= 0 && h < s.H && w >= 0 && w < s.W ? (b * s.H + h) * s.W + w : -1;
}

// The output pixel whose tap meets pixel (b, h, w) of x; -1 if there is none.
__device__ int64_t target(const Conv& s, int64_t pixel, int64_t tap) {
  const int64_t w = pixel % s.W, h = pixel / s.W % s.H, b = pixel / (s.W * s.H);
  const int64_t u = h + s.pad - tap / s.kw, v = w + s.pad - tap % s.kw;
  const bool there = u >= 0 && v >= 0 && u % s.stride == 0 && v % s.stride == 0 && u / s.stride < s.Ho &&
                     v / s.stride < s.Wo;
  return there ? (b * s.Ho + u / s.stride) * s.Wo + v / s.stride : -1;
}

// eq. (1): y (pixels, O) = patches (pixels, taps I) w^T + b
template <class T, class Weight>
struct Forward {
  Conv s;
  DeviceSpan<T> y;
  DeviceSpan<const T> x;
  DeviceSpan<const Weight> w;
  DeviceSpan<const float> bias;
  __device__ float a(int64_t m, int64_t k) const {
    const int64_t from = source(s, m, k / s.I);
    return from < 0 ? 0.0F : load(x[from * s.I + k % s.I]);
  }
  __device__ float b(int64_t k, int64_t n) const { return load(w[weight_index(s, n, k % s.I, k / s.I)]); }
  __device__ void put(int64_t m, int64_t n, float v) const {
    y[m * s.O + n] = store<T>(bias ? v + bias[n] : v);
  }
};

// eq. (2): dx (pixels, I) = patches of dy (pixels, taps O) w
template <class T, class Weight>
struct BackwardX {
  Conv s;
  GradSpan<T> dx;
  DeviceSpan<const T> dy;
  DeviceSpan<const Weight> w;
  __device__ float a(int64_t m, int64_t k) const {
    const int64_t from = target(s, m, k / s.O);
    return from < 0 ? 0.0F : load(dy[from * s.O + k % s.O]);
  }
  __device__ float b(int64_t k, int64_t n) const { return load(w[weight_index(s, k % s.O, n, k / s.O)]); }
  __device__ void put(int64_t m, int64_t n, float v) const { dx.put(m * s.I + n, v); }
};

// eq. (3): dw (O, taps I) = dy^T patches, a sum over pixels
template <class T, class Weight>
struct BackwardW {
  Conv s;
  GradSpan<Weight> dw;
  DeviceSpan<const T> dy, x;
  __device__ float a(int64_t m, int64_t k) const { return load(dy[k * s.O + m]); }
  __device__ float b(int64_t k, int64_t n) const {
    const int64_t from = source(s, k, n / s.I);
    return from < 0 ? 0.0F : load(x[from * s.I + n % s.I]);
  }
  __device__ void put(int64_t m, int64_t n, float v) const {
    dw.put(weight_index(s, m, n % s.I, n / s.I), v);
  }
};

template <class T>
struct Column {
  DeviceSpan<const T> dy;
  int64_t O;
  __device__ void operator()(int64_t n, int64_t o, float (&v)[1]) const { v[0] = load(dy[n * O + o]); }
};

}  // namespace

void conv2d_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, int stride, int pad,
                    Stream stream) {
  const Conv s = sizes_of(x.shape(), w.shape(), stride, pad);
  if (y.numel() == 0 || dnn::conv2d_forward(y, x, w, b, stride, pad, stream)) return;
  with_device_type(x.dtype(), [&](auto zero) {
    with_device_type(w.dtype(), [&](auto weight) {
      using T = decltype(zero);
      using Weight = decltype(weight);
      tile_product(Forward<T, Weight>{s, span<T>(y), span<T>(x), span<Weight>(w), span<float>(b)},
                   {s.B * s.Ho * s.Wo, s.O, s.kh * s.kw * s.I}, stream);
    });
  });
}

void conv2d_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                     int stride, int pad, Stream stream) {
  const Conv s = sizes_of(x.shape(), w.shape(), stride, pad);
  const int64_t taps = s.kh * s.kw, outputs = s.B * s.Ho * s.Wo;
  with_device_type(x.dtype(), [&](auto zero) {
    with_device_type(w.dtype(), [&](auto weight) {
      using T = decltype(zero);
      using Weight = decltype(weight);
      if (dx && dx.t.numel() > 0 && !dnn::conv2d_input_gradient(dx, dy, w, stride, pad, stream))
        tile_product(BackwardX<T, Weight>{s, grad<T>(dx), span<T>(dy), span<Weight>(w)},
                     {s.B * s.H * s.W, s.I, taps * s.O}, stream);
      if (dw && dw.t.numel() > 0 && !dnn::conv2d_weight_gradient(dw, dy, x, w, stride, pad, stream))
        tile_product(BackwardW<T, Weight>{s, grad<Weight>(dw), span<T>(dy), span<T>(x)},
                     {s.O, taps * s.I, outputs}, stream);
      if (db) column_sums<1>({grad<float>(db)}, Column<T>{span<T>(dy), s.O}, outputs, s.O, stream);
    });
  });
}

}  // namespace gmail::cuda

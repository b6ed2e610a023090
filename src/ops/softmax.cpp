#include "ops/softmax.h"

#include <limits>

#include "ops/grain.h"
#include "ops/simd.h"
#include "ops/simd_math.h"

namespace gmail {

RowSizes softmax_sizes(const Tensor& y, const Tensor& x) {
  GMAIL_CHECK(x.rank() >= 1 && x.size(-1) > 0, "[softmax] x must have a last dimension, got ", x.shape());
  GMAIL_CHECK(y.shape() == x.shape(), "[softmax] shapes differ: ", y.shape(), " and ", x.shape());
  return {x.numel() / x.size(-1), x.size(-1)};
}

namespace cpu {
namespace {

using Sizes = RowSizes;

template <class T>
void forward(T* y, const T* x, Sizes s) {
  parallel_for(s.N, rows_per_chunk(s.C), [=](int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) {
      const T* xn = x + n * s.C;
      T* yn = y + n * s.C;
      T m = -std::numeric_limits<T>::infinity(), sum = 0;
      GMAIL_SIMD_MAX(m)
      for (int64_t c = 0; c < s.C; ++c) m = xn[c] > m ? xn[c] : m;
      GMAIL_SIMD_SUM(sum)
      for (int64_t c = 0; c < s.C; ++c) {
        const T e = vexp(xn[c] - m);
        yn[c] = e;
        sum += e;
      }
      const T inverse = T(1) / sum;
      GMAIL_SIMD
      for (int64_t c = 0; c < s.C; ++c) yn[c] *= inverse;
    }
  });
}

template <class T>
void backward(GradWriter<T> dx, const T* dy, const T* y, Sizes s) {
  parallel_for(s.N, rows_per_chunk(s.C), [=](int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) {
      const T *yn = y + n * s.C, *dyn = dy + n * s.C;
      T dot = 0;
      GMAIL_SIMD_SUM(dot)
      for (int64_t c = 0; c < s.C; ++c) dot += dyn[c] * yn[c];
      GMAIL_SIMD
      for (int64_t c = 0; c < s.C; ++c) dx.put(n * s.C + c, yn[c] * (dyn[c] - dot));  // eq. (2)
    }
  });
}

}  // namespace

void softmax_forward(Tensor& y, const Tensor& x) {
  const Sizes s = softmax_sizes(y, x);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    forward<T>(y.data<T>(), x.data<T>(), s);
  });
}

void softmax_backward(Grad dx, const Tensor& dy, const Tensor& y) {
  if (!dx) return;
  const Sizes s = softmax_sizes(dy, y);
  with_float_type(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    backward<T>(GradWriter<T>(dx), dy.data<T>(), y.data<T>(), s);
  });
}

}  // namespace cpu
}  // namespace gmail

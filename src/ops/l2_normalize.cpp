#include "ops/l2_normalize.h"

#include <cmath>

#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail {

RowSizes l2_normalize_sizes(const Tensor& y, const Tensor& x, const Tensor& norm) {
  GMAIL_CHECK(x.rank() >= 1 && x.size(-1) > 0, "[l2_normalize] x must have a last dimension, got ",
              x.shape());
  GMAIL_CHECK(y.shape() == x.shape(), "[l2_normalize] shapes differ: ", y.shape(), " and ", x.shape());
  const int64_t N = x.numel() / x.size(-1);
  GMAIL_CHECK(norm.shape() == Shape{N}, "[l2_normalize] norm must be (", N, "), got ", norm.shape());
  return {N, x.size(-1)};
}

namespace cpu {
namespace {

using Sizes = RowSizes;

template <class T>
void forward(T* y, T* norm, const T* x, Sizes s, T eps) {
  parallel_for(s.N, rows_per_chunk(s.C), [=](int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) {
      const T* xn = x + n * s.C;
      T* yn = y + n * s.C;
      T square = 0;
      GMAIL_SIMD_SUM(square)
      for (int64_t c = 0; c < s.C; ++c) square += xn[c] * xn[c];
      norm[n] = std::sqrt(square);
      const T inverse = T(1) / (norm[n] < eps ? eps : norm[n]);
      GMAIL_SIMD
      for (int64_t c = 0; c < s.C; ++c) yn[c] = xn[c] * inverse;
    }
  });
}

template <class T>
void backward(GradWriter<T> dx, const T* dy, const T* y, const T* norm, Sizes s, T eps) {
  parallel_for(s.N, rows_per_chunk(s.C), [=](int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) {
      const T *yn = y + n * s.C, *dyn = dy + n * s.C;
      T dot = 0;
      GMAIL_SIMD_SUM(dot)
      for (int64_t c = 0; c < s.C; ++c) dot += dyn[c] * yn[c];
      const bool constant = norm[n] < eps;
      const T inverse = T(1) / (constant ? eps : norm[n]), along = constant ? T(0) : dot;
      GMAIL_SIMD
      for (int64_t c = 0; c < s.C; ++c) dx.put(n * s.C + c, (dyn[c] - yn[c] * along) * inverse);  // eq. (2)
    }
  });
}

}  // namespace

void l2_normalize_forward(Tensor& y, Tensor& norm, const Tensor& x, double eps) {
  const Sizes s = l2_normalize_sizes(y, x, norm);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    forward<T>(y.data<T>(), norm.data<T>(), x.data<T>(), s, static_cast<T>(eps));
  });
}

void l2_normalize_backward(Grad dx, const Tensor& dy, const Tensor& y, const Tensor& norm, double eps) {
  if (!dx) return;
  const Sizes s = l2_normalize_sizes(dy, y, norm);
  with_float_type(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    backward<T>(GradWriter<T>(dx), dy.data<T>(), y.data<T>(), norm.data<T>(), s, static_cast<T>(eps));
  });
}

}  // namespace cpu
}  // namespace gmail

#include "ops/layer_norm.h"

#include <cmath>

#include "core/parallel_for.h"
#include "ops/reduce.h"
#include "ops/simd.h"

namespace gmail {

RowSizes layer_norm_sizes(const Tensor& x, const Tensor& w, const Tensor& b) {
  GMAIL_CHECK(x.rank() >= 1 && x.size(-1) > 0, "[layer_norm] x must have a last dimension, got ", x.shape());
  const int64_t C = x.size(-1);
  for (const Tensor* p : {&w, &b})
    GMAIL_CHECK(!*p || p->shape() == Shape{C}, "[layer_norm] weight and bias must be (", C, "), got ",
                p->shape());
  return {x.numel() / C, C};
}

namespace cpu {
namespace {

using Sizes = RowSizes;

// eq. (1) for one row
template <class T>
GMAIL_WIDEST void row_y(T* y, T& mu, T& r, const T* x, const T* w, const T* b, int64_t C, T eps) {
  T sum = 0, square = 0;
  GMAIL_SIMD_SUM(sum)
  for (int64_t c = 0; c < C; ++c) sum += x[c];
  const T mean = sum / static_cast<T>(C);
  GMAIL_SIMD_SUM(square)
  for (int64_t c = 0; c < C; ++c) square += (x[c] - mean) * (x[c] - mean);
  const T rstd = T(1) / std::sqrt(square / static_cast<T>(C) + eps);
  GMAIL_SIMD
  for (int64_t c = 0; c < C; ++c) {
    const T v = (x[c] - mean) * rstd;
    y[c] = (w ? w[c] * v : v) + (b ? b[c] : T(0));
  }
  mu = mean;
  r = rstd;
}

template <class T>
void forward(T* y, T* mu, T* r, const T* x, const T* w, const T* b, Sizes s, double eps) {
  parallel_for(s.N, 32, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      row_y(y + n * s.C, mu[n], r[n], x + n * s.C, w, b, s.C, static_cast<T>(eps));
  });
}

// eq. (2) for row n
template <class T, class Writer>
GMAIL_WIDEST void row_x(Writer dx, const T* dy, const T* x, const T* w, T mu, T r, int64_t n, int64_t C) {
  const T *xn = x + n * C, *dyn = dy + n * C;
  T mean_g = 0, mean_gn = 0;
  GMAIL_SIMD_SUM(mean_g, mean_gn)
  for (int64_t c = 0; c < C; ++c) {
    const T g = w ? dyn[c] * w[c] : dyn[c];
    mean_g += g;
    mean_gn += g * (xn[c] - mu);
  }
  mean_g /= static_cast<T>(C);
  mean_gn *= r * r / static_cast<T>(C);
  GMAIL_SIMD
  for (int64_t c = 0; c < C; ++c) {
    const T g = w ? dyn[c] * w[c] : dyn[c];
    dx.put(n * C + c, r * (g - mean_g - (xn[c] - mu) * mean_gn));
  }
}

// eq. (3) for row n: dw in the first C sums, db in the next
template <class T>
GMAIL_WIDEST void row_wb(T* sums, const T* dy, const T* x, T mu, T r, int64_t n, int64_t C) {
  const T *xn = x + n * C, *dyn = dy + n * C;
  T* const sums_b = sums + C;
  GMAIL_SIMD
  for (int64_t c = 0; c < C; ++c) {
    sums[c] += dyn[c] * (xn[c] - mu) * r;
    sums_b[c] += dyn[c];
  }
}

// dx may be absent; a row serves (2) and (3) while it is in the cache
template <class T>
void backward(GradWriter<T> dx, GradWriter<T> dw, GradWriter<T> db, const T* dy, const T* x, const T* w,
              const T* mu, const T* r, Sizes s) {
  const auto one_row = [=](int64_t n) {
    with_writer(dx, [=](auto out) { row_x<T>(out, dy, x, w, mu[n], r[n], n, s.C); });
  };
  if (!dw && !db)
    return parallel_for(s.N, 32, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) one_row(n);
    });
  const Scratch<T> sums(2 * s.C);
  sum_rows(sums.data(), s.N, 2 * s.C, [&](int64_t n, T* partial) {
    if (dx) one_row(n);
    row_wb<T>(partial, dy, x, mu[n], r[n], n, s.C);
  });
  for (int64_t c = 0; c < s.C; ++c) {
    if (dw) dw.put(c, sums[c]);
    if (db) db.put(c, sums[s.C + c]);
  }
}

}  // namespace

void layer_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        double eps) {
  const Sizes s = layer_norm_sizes(x, w, b);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    forward<T>(y.data<T>(), mu.data<T>(), r.data<T>(), x.data<T>(), w ? w.data<T>() : nullptr,
               b ? b.data<T>() : nullptr, s, eps);
  });
}

void layer_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& mu, const Tensor& r) {
  if (!dx && !dw && !db) return;
  const Sizes s = layer_norm_sizes(x, w, Tensor());
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *pdy = dy.data<T>(), *px = x.data<T>(), *pmu = mu.data<T>(), *pr = r.data<T>();
    backward<T>(GradWriter<T>(dx), GradWriter<T>(dw), GradWriter<T>(db), pdy, px, w ? w.data<T>() : nullptr,
                pmu, pr, s);
  });
}

}  // namespace cpu
}  // namespace gmail

#include "ops/contrastive.h"

#include <cmath>
#include <limits>
#include <vector>

#include "ops/gemm.h"
#include "ops/grain.h"
#include "ops/reduce.h"
#include "ops/simd.h"
#include "ops/simd_math.h"

namespace gmail {

ContrastiveSizes contrastive_sizes(const char* op, const Tensor& a, const Tensor& b, const Tensor& dz) {
  GMAIL_CHECK(a.rank() == 2 && a.shape() == b.shape() && a.numel() > 0, "[", op,
              "] a and b must be (N, E), got ", a.shape(), " and ", b.shape());
  const int64_t N = a.size(0);
  GMAIL_CHECK((dz.shape() == Shape{N, N}), "[", op, "] dz must be (", N, ",", N, "), got ", dz.shape());
  return {N, a.size(1)};
}

namespace cpu {
namespace {

using Sizes = ContrastiveSizes;

double scalar(const char* op, const char* name, const Tensor& t) {
  GMAIL_CHECK(t.numel() == 1, "[", op, "] ", name, " must have one element, got ", t.shape());
  return t.item();
}

// z_ij = scale a_i . b_j + bias_j; bias may be null
template <class T>
void logits(T* z, const T* a, const T* b, Sizes s, double log_scale, const T* bias = nullptr) {
  Gemm<T> g;
  g.m = g.n = g.ldc = s.N, g.k = g.lda = g.ldb = s.E;
  g.a = a, g.b = b, g.trans_b = true, g.c = z;
  g.alpha = static_cast<T>(std::exp(log_scale));
  g.bias = bias;
  gemm(g);
}

// Logits that stand in no softmax become -inf, so that exp gives 0 for them. `group` may be null.
template <class T>
void mask_groups(T* z, const int32_t* group, int64_t N) {
  if (group == nullptr) return;
  parallel_for(N, rows_per_chunk(N), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T own = z[i * N + i];
      GMAIL_SIMD
      for (int64_t j = 0; j < N; ++j)
        z[i * N + j] = group[j] == group[i] ? -std::numeric_limits<T>::infinity() : z[i * N + j];
      z[i * N + i] = own;
    }
  });
}

// l_i = log sum_j exp(z_ij)
template <class T>
void row_log_sums(T* l, const T* z, int64_t N) {
  parallel_for(N, rows_per_chunk(N), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* zi = z + i * N;
      T m = -std::numeric_limits<T>::infinity(), sum = 0;
      GMAIL_SIMD_MAX(m)
      for (int64_t j = 0; j < N; ++j) m = zi[j] > m ? zi[j] : m;
      GMAIL_SIMD_SUM(sum)
      for (int64_t j = 0; j < N; ++j) sum += vexp(zi[j] - m);
      l[i] = m + std::log(sum);
    }
  });
}

// l_j = log sum_i exp(z_ij), for a strip of columns at a time so that rows are read in order
template <class T>
void column_log_sums(T* l, const T* z, int64_t N) {
  parallel_for(N, 64, [=](int64_t begin, int64_t end) {
    const int64_t width = end - begin;
    const Scratch<T> scratch(2 * width);
    T *const m = scratch.data(), *const sum = m + width;
    std::fill_n(m, width, -std::numeric_limits<T>::infinity());
    std::fill_n(sum, width, T(0));
    for (int64_t i = 0; i < N; ++i) {
      const T* zi = z + i * N + begin;
      GMAIL_SIMD
      for (int64_t j = 0; j < width; ++j) m[j] = zi[j] > m[j] ? zi[j] : m[j];
    }
    for (int64_t i = 0; i < N; ++i) {
      const T* zi = z + i * N + begin;
      GMAIL_SIMD
      for (int64_t j = 0; j < width; ++j) sum[j] += vexp(zi[j] - m[j]);
    }
    for (int64_t j = 0; j < width; ++j) l[begin + j] = m[j] + std::log(sum[j]);
  });
}

// Nothing is lost by a zero in place of a gradient below 1e-30, and the products to come are spared denormal
// numbers, which are slow.
template <class T>
T no_denormal(T v) {
  return v < T(1e-30) ? T(0) : v;
}

// z becomes dz of eq. (3); l_row and, for the symmetric form, l_column hold the log sums
template <class T>
void softmax_gradient(T* z, const T* l_row, const T* l_column, int64_t N) {
  const T share = T(l_column == nullptr ? 1 : 0.5) / static_cast<T>(N);
  parallel_for(N, rows_per_chunk(N), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* zi = z + i * N;
      const T li = l_row[i];
      if (l_column == nullptr) {
        GMAIL_SIMD
        for (int64_t j = 0; j < N; ++j) zi[j] = no_denormal(share * vexp(zi[j] - li));
      } else {
        GMAIL_SIMD
        for (int64_t j = 0; j < N; ++j)
          zi[j] = no_denormal(share * (vexp(zi[j] - li) + vexp(zi[j] - l_column[j])));
      }
      zi[i] -= T(1) / static_cast<T>(N);
    }
  });
}

template <class T>
T info_nce(T* z, const T* a, const T* b, Sizes s, double log_scale, const int32_t* group, bool symmetric) {
  logits<T>(z, a, b, s, log_scale);
  mask_groups<T>(z, group, s.N);
  const Scratch<T> scratch(2 * s.N);
  T *const row = scratch.data(), *const column = symmetric ? row + s.N : nullptr;
  row_log_sums<T>(row, z, s.N);
  if (symmetric) column_log_sums<T>(column, z, s.N);
  double sum = 0;
  for (int64_t i = 0; i < s.N; ++i) {
    const auto own = static_cast<double>(z[i * s.N + i]), l = static_cast<double>(row[i]);
    sum += symmetric ? 0.5 * (l + static_cast<double>(column[i])) - own : l - own;  // eq. (1), (2)
  }
  softmax_gradient<T>(z, row, column, s.N);
  return static_cast<T>(sum / static_cast<double>(s.N));
}

// eq. (4); z becomes dz. log sigmoid(u) = min(u, 0) - log(1 + exp(-|u|))
template <class T>
T sigmoid_loss(T* z, const T* a, const T* b, Sizes s, double log_scale, double bias) {
  const Scratch<T> shift(s.N);
  std::fill_n(shift.data(), s.N, static_cast<T>(bias));
  logits<T>(z, a, b, s, log_scale, shift.data());
  const T share = T(1) / static_cast<T>(s.N);
  std::vector<double> rows(static_cast<size_t>(s.N));
  parallel_for(s.N, rows_per_chunk(s.N), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* zi = z + i * s.N;
      T sum = 0;
      zi[i] = -zi[i];  // -s z from here on
      GMAIL_SIMD_SUM(sum)
      for (int64_t j = 0; j < s.N; ++j) {
        const T v = zi[j], e = vexp(-std::fabs(v));
        sum += (v < T(0) ? T(0) : v) + vlog1p(e);
        zi[j] = share * (v < T(0) ? e : T(1)) / (T(1) + e);
      }
      zi[i] = -zi[i];
      rows[static_cast<size_t>(i)] = static_cast<double>(sum);
    }
  });
  double loss = 0;
  for (const double row : rows) loss += row;
  return static_cast<T>(loss / static_cast<double>(s.N));
}

// da (+)= scale dz b, and the sum over i of a_i . da_i, which is what the gradient of log_scale needs: eq.
// (3) with z_ij = scale a_i . b_j gives sum_ij dz_ij z_ij = sum_i a_i . (scale sum_j dz_ij b_j).
template <class T>
double backward_a(GradWriter<T> da, const T* dz, const T* a, const T* b, Sizes s, T scale) {
  const bool direct = da && !da.add;
  const Scratch<T> scratch(direct ? 0 : s.N * s.E);
  T* const p = direct ? da.p : scratch.data();
  Gemm<T> g;
  g.m = g.k = g.lda = s.N, g.n = g.ldb = g.ldc = s.E;
  g.a = dz, g.b = b, g.c = p, g.alpha = scale;
  gemm(g);
  double sum = 0;
  sum_rows(&sum, s.N, 1, [=](int64_t i, double* partial) {
    T dot = 0;
    GMAIL_SIMD_SUM(dot)
    for (int64_t e = i * s.E; e < (i + 1) * s.E; ++e) dot += a[e] * p[e];
    *partial += static_cast<double>(dot);
    if (!da || direct) return;
    GMAIL_SIMD
    for (int64_t e = i * s.E; e < (i + 1) * s.E; ++e) da.put(e, p[e]);
  });
  return sum;
}

// db (+)= scale dz^T a
template <class T>
void backward_b(GradWriter<T> db, const T* dz, const T* a, Sizes s, T scale) {
  Gemm<T> g;
  g.m = g.k = g.lda = s.N, g.n = g.ldb = g.ldc = s.E;
  g.a = dz, g.trans_a = true, g.b = a, g.c = db.p, g.alpha = scale;
  g.beta = db.add ? T(1) : T(0);
  gemm(g);
}

template <class T>
void add_scalar(Grad g, double v) {
  if (g) GradWriter<T>(g).put(0, static_cast<T>(v));
}

}  // namespace

void info_nce_forward(Tensor& loss, Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                      const InfoNceOptions& options) {
  const Sizes s = contrastive_sizes("info_nce", a, b, dz);
  const Tensor& group = options.group;
  GMAIL_CHECK(!group || group.shape() == Shape{s.N}, "[info_nce] group must be (", s.N, "), got ",
              group.shape());
  const double scale = scalar("info_nce", "log_scale", log_scale);
  with_float_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    *loss.data<T>() = info_nce<T>(dz.data<T>(), a.data<T>(), b.data<T>(), s, scale,
                                  group ? group.data<int32_t>() : nullptr, options.symmetric);
  });
}

void info_nce_backward(Grad da, Grad db, Grad dlog_scale, const Tensor& dloss, const Tensor& dz,
                       const Tensor& a, const Tensor& b, const Tensor& log_scale) {
  const Sizes s = contrastive_sizes("info_nce", a, b, dz);
  const double scale = std::exp(scalar("info_nce", "log_scale", log_scale)) * dloss.item();
  with_float_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *pz = dz.data<T>(), *pa = a.data<T>(), *pb = b.data<T>();
    double sum = 0;
    if (da || dlog_scale) sum = backward_a<T>(GradWriter<T>(da), pz, pa, pb, s, static_cast<T>(scale));
    if (db) backward_b<T>(GradWriter<T>(db), pz, pa, s, static_cast<T>(scale));
    add_scalar<T>(dlog_scale, sum);
  });
}

void sigmoid_loss_forward(Tensor& loss, Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                          const Tensor& bias) {
  const Sizes s = contrastive_sizes("sigmoid_loss", a, b, dz);
  const double scale = scalar("sigmoid_loss", "log_scale", log_scale),
               shift = scalar("sigmoid_loss", "bias", bias);
  with_float_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    *loss.data<T>() = sigmoid_loss<T>(dz.data<T>(), a.data<T>(), b.data<T>(), s, scale, shift);
  });
}

void sigmoid_loss_backward(Grad da, Grad db, Grad dlog_scale, Grad dbias, const Tensor& dloss,
                           const Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                           const Tensor& bias) {
  GMAIL_CHECK(bias.numel() == 1, "[sigmoid_loss] bias must have one element, got ", bias.shape());
  info_nce_backward(da, db, dlog_scale, dloss, dz, a, b, log_scale);  // dz is all that differs
  if (!dbias) return;
  with_float_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* pz = dz.data<T>();
    double sum = 0;
    for (int64_t i = 0; i < dz.numel(); ++i) sum += static_cast<double>(pz[i]);
    add_scalar<T>(dbias, sum * dloss.item());
  });
}

}  // namespace cpu
}  // namespace gmail

#include "ops/attention.h"

#include <bit>
#include <cmath>
#include <limits>

#include "core/arena.h"
#include "core/parallel_for.h"
#include "ops/gemm.h"
#include "ops/simd.h"

namespace gmail::cpu {
namespace {

// One head is worked through in blocks of rows: the scores of a block stay in the second-level cache, and a
// causal mask saves the keys to the right of the block.
constexpr int64_t kRowBlock = 64;

// exp(x) for x <= 88 without branches: 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2; -inf gives 0, NaN
// stays.
float vexp(float x) {
  const float c = x < -87.0F ? -87.0F : x;
  const float shifted = c * 1.44269504F + 12582912.0F;  // 1.5 * 2^23: the integer lands in the low bits
  const float n = shifted - 12582912.0F;
  const float r = (c - n * 0x1.62e4p-1F) - n * 1.42860682e-6F;
  float q = 0.00138145976F;
  q = q * r + 0.00836871658F;
  q = q * r + 0.041668389F;
  q = q * r + 0.166665211F;
  q = q * r + 0.49999994F;
  const float p = q * (r * r) + r + 1.0F;
  const float y = p * std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) - 0x4B400000U + 127U) << 23U);
  return x < -87.0F ? 0.0F : y;
}
double vexp(double x) { return std::exp(x); }

struct Sizes {
  int64_t B, Tq, Tk, C, heads, D;
  [[nodiscard]] int64_t grain() const {
    return std::max<int64_t>(1, 50'000 / std::max<int64_t>(1, Tq * Tk * D));
  }
};

Sizes check(const Tensor& q, const Tensor& k, const Tensor& v, int heads, const AttentionMask& mask) {
  GMAIL_CHECK(q.rank() == 3 && k.rank() == 3 && k.shape() == v.shape() && q.size(0) == k.size(0) &&
                  q.size(2) == k.size(2),
              "[attention] expected q (B, Tq, C), k and v (B, Tk, C), got ", q.shape(), ", ", k.shape(), ", ",
              v.shape());
  GMAIL_CHECK(heads > 0 && q.size(2) % heads == 0, "[attention] ", q.size(2), " channels do not split into ",
              heads, " heads");
  GMAIL_CHECK(!mask.keys || mask.keys.shape() == (Shape{k.size(0), k.size(1)}),
              "[attention] key mask must be (", k.size(0), ",", k.size(1), "), got ", mask.keys.shape());
  return {q.size(0), q.size(1), k.size(1), q.size(2), heads, q.size(2) / heads};
}

// What the rows of one head see: keys [0, seen(i)), without those that the key mask hides.
struct Visible {
  const Sizes& s;
  bool causal;
  const int32_t* keys;  // of this b, or null
  [[nodiscard]] int64_t seen(int64_t i) const {
    return causal ? std::clamp<int64_t>(i + 1 + s.Tk - s.Tq, 0, s.Tk) : s.Tk;
  }
};

// Scores of one row -> probabilities, in place; entries from seen to width become 0. Returns l, eq. (1).
template <class T>
T softmax_row(T* p, int64_t seen, int64_t width, const int32_t* keys) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  if (keys)
    for (int64_t j = 0; j < seen; ++j) p[j] = keys[j] != 0 ? p[j] : -kInfinity;
  T top = -kInfinity;
  GMAIL_SIMD_MAX(top)
  for (int64_t j = 0; j < seen; ++j) top = top < p[j] ? p[j] : top;
  std::fill(p + seen, p + width, T(0));
  if (top == -kInfinity) {  // nothing to see
    std::fill(p, p + seen, T(0));
    return 0;
  }
  T sum = 0;
  GMAIL_SIMD_SUM(sum)
  for (int64_t j = 0; j < seen; ++j) {
    p[j] = vexp(p[j] - top);
    sum += p[j];
  }
  const T inverse = T(1) / sum;
  GMAIL_SIMD
  for (int64_t j = 0; j < seen; ++j) p[j] *= inverse;
  return top + std::log(sum);
}

template <class T>
void forward_head(T* o, T* l, const T* q, const T* k, const T* v, const Sizes& s, const Visible& visible) {
  const Scratch<T> p(std::min(kRowBlock, s.Tq) * s.Tk);
  const T scale = T(1) / std::sqrt(static_cast<T>(s.D));
  for (int64_t i0 = 0; i0 < s.Tq; i0 += kRowBlock) {
    const int64_t m = std::min(kRowBlock, s.Tq - i0), n = visible.seen(i0 + m - 1);
    gemm<T>({.m = m,
             .n = n,
             .k = s.D,
             .a = q + i0 * s.C,
             .lda = s.C,
             .b = k,
             .ldb = s.C,
             .trans_b = true,
             .c = p.data(),
             .ldc = n,
             .alpha = scale});
    for (int64_t i = 0; i < m; ++i)
      l[i0 + i] = softmax_row(p.data() + i * n, visible.seen(i0 + i), n, visible.keys);
    gemm<T>({.m = m,
             .n = s.D,
             .k = n,
             .a = p.data(),
             .lda = n,
             .b = v,
             .ldb = s.C,
             .c = o + i0 * s.C,
             .ldc = s.C});
  }
}

// p = exp(s - l), then ds in place of dp; entries that are not seen become 0.
template <class T>
void backward_row(T* p, T* dp, T l, T o_do, int64_t seen, int64_t width, const int32_t* keys) {
  GMAIL_SIMD
  for (int64_t j = 0; j < seen; ++j) p[j] = vexp(p[j] - l);
  if (keys)
    for (int64_t j = 0; j < seen; ++j) p[j] = keys[j] != 0 ? p[j] : T(0);
  std::fill(p + seen, p + width, T(0));
  std::fill(dp + seen, dp + width, T(0));
  GMAIL_SIMD
  for (int64_t j = 0; j < seen; ++j) dp[j] = p[j] * (dp[j] - o_do);  // eq. (2)
}

template <class T>
struct HeadGrads {
  T *dq, *dk, *dv;  // any may be null
  bool add_q, add_k, add_v;
};

template <class T>
void add_to(T* out, bool add, const T* sum, int64_t rows, const Sizes& s) {
  for (int64_t j = 0; j < rows; ++j)
    for (int64_t d = 0; d < s.D; ++d)
      out[j * s.C + d] = add ? out[j * s.C + d] + sum[j * s.D + d] : sum[j * s.D + d];
}

// dk and dv are summed aside and written last: dq, dk and dv may be one tensor.
template <class T>
void backward_head(const HeadGrads<T>& g, const T* d_o, const T* o, const T* l, const T* q, const T* k,
                   const T* v, const Sizes& s, const Visible& visible) {
  const int64_t block = std::min(kRowBlock, s.Tq);
  const Scratch<T> p(block * s.Tk), dp(block * s.Tk), dk(s.Tk * s.D), dv(s.Tk * s.D);
  std::fill_n(dk.data(), s.Tk * s.D, T(0));
  std::fill_n(dv.data(), s.Tk * s.D, T(0));
  const T scale = T(1) / std::sqrt(static_cast<T>(s.D));
  for (int64_t i0 = 0; i0 < s.Tq; i0 += kRowBlock) {
    const int64_t m = std::min(kRowBlock, s.Tq - i0), n = visible.seen(i0 + m - 1);
    const T *qi = q + i0 * s.C, *oi = o + i0 * s.C, *doi = d_o + i0 * s.C;
    gemm<T>({.m = m,
             .n = n,
             .k = s.D,
             .a = qi,
             .lda = s.C,
             .b = k,
             .ldb = s.C,
             .trans_b = true,
             .c = p.data(),
             .ldc = n,
             .alpha = scale});
    gemm<T>({.m = m,
             .n = n,
             .k = s.D,
             .a = doi,
             .lda = s.C,
             .b = v,
             .ldb = s.C,
             .trans_b = true,
             .c = dp.data(),
             .ldc = n});
    for (int64_t i = 0; i < m; ++i) {
      T o_do = 0;
      GMAIL_SIMD_SUM(o_do)
      for (int64_t d = 0; d < s.D; ++d) o_do += oi[i * s.C + d] * doi[i * s.C + d];
      backward_row(p.data() + i * n, dp.data() + i * n, l[i0 + i], o_do, visible.seen(i0 + i), n,
                   visible.keys);
    }
    if (g.dv)
      gemm<T>({.m = n,
               .n = s.D,
               .k = m,
               .a = p.data(),
               .lda = n,
               .trans_a = true,
               .b = doi,
               .ldb = s.C,
               .c = dv.data(),
               .ldc = s.D,
               .beta = 1});
    if (g.dk)  // eq. (3)
      gemm<T>({.m = n,
               .n = s.D,
               .k = m,
               .a = dp.data(),
               .lda = n,
               .trans_a = true,
               .b = qi,
               .ldb = s.C,
               .c = dk.data(),
               .ldc = s.D,
               .alpha = scale,
               .beta = 1});
    if (g.dq)
      gemm<T>({.m = m,
               .n = s.D,
               .k = n,
               .a = dp.data(),
               .lda = n,
               .b = k,
               .ldb = s.C,
               .c = g.dq + i0 * s.C,
               .ldc = s.C,
               .alpha = scale,
               .beta = g.add_q ? T(1) : T(0)});
  }
  if (g.dk) add_to(g.dk, g.add_k, dk.data(), s.Tk, s);
  if (g.dv) add_to(g.dv, g.add_v, dv.data(), s.Tk, s);
}

}  // namespace

void attention_forward(Tensor& o, Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                       const AttentionMask& mask) {
  const Sizes s = check(q, k, v, heads, mask);
  const int32_t* const keys = mask.keys ? mask.keys.data<int32_t>() : nullptr;
  with_float_type(q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T *po = o.data<T>(), *pl = l.data<T>();
    const T *pq = q.data<T>(), *pk = k.data<T>(), *pv = v.data<T>();
    parallel_for(s.B * s.heads, s.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t h = begin; h < end; ++h) {
        const int64_t b = h / s.heads, column = h % s.heads * s.D;
        const int64_t at_q = b * s.Tq * s.C + column, at_k = b * s.Tk * s.C + column;
        forward_head<T>(po + at_q, pl + h * s.Tq, pq + at_q, pk + at_k, pv + at_k, s,
                        Visible{s, mask.causal, keys ? keys + b * s.Tk : nullptr});
      }
    });
  });
}

void attention_backward(Grad dq, Grad dk, Grad dv, const Tensor& d_o, const Tensor& o, const Tensor& l,
                        const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                        const AttentionMask& mask) {
  const Sizes s = check(q, k, v, heads, mask);
  const int32_t* const keys = mask.keys ? mask.keys.data<int32_t>() : nullptr;
  with_float_type(q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const GradWriter<T> wq(dq), wk(dk), wv(dv);
    const T *pdo = d_o.data<T>(), *po = o.data<T>(), *pl = l.data<T>();
    const T *pq = q.data<T>(), *pk = k.data<T>(), *pv = v.data<T>();
    parallel_for(s.B * s.heads, s.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t h = begin; h < end; ++h) {
        const int64_t b = h / s.heads, column = h % s.heads * s.D;
        const int64_t at_q = b * s.Tq * s.C + column, at_k = b * s.Tk * s.C + column;
        const HeadGrads<T> g{wq ? wq.p + at_q : nullptr,
                             wk ? wk.p + at_k : nullptr,
                             wv ? wv.p + at_k : nullptr,
                             wq.add,
                             wk.add,
                             wv.add};
        backward_head<T>(g, pdo + at_q, po + at_q, pl + h * s.Tq, pq + at_q, pk + at_k, pv + at_k, s,
                         Visible{s, mask.causal, keys ? keys + b * s.Tk : nullptr});
      }
    });
  });
}

}  // namespace gmail::cpu

#include "ops/attention.h"

#include <cmath>
#include <limits>

#include "core/arena.h"
#include "core/parallel_for.h"
#include "ops/gemm.h"
#include "ops/simd.h"
#include "ops/simd_math.h"

namespace gmail {

AttentionSizes attention_sizes(const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                               const AttentionMask& mask) {
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

namespace cpu {
namespace {

// One head is worked through in blocks of queries, so that the scores of a block stay in the second-level
// cache and a causal mask saves the keys that no query of the block sees. Scores are kept transposed, a row
// for each key: then the softmax runs over vectors of queries without sums across a vector, and o = p v
// reads its operands where they are.
constexpr int64_t kMaxBlock = 96;
constexpr int64_t kLanes = 16;  // rows of scores are padded to a multiple of this many

struct Sizes {
  int64_t B, Tq, Tk, C, heads, D;
  [[nodiscard]] int64_t grain() const {
    return std::max<int64_t>(1, 50'000 / std::max<int64_t>(1, Tq * Tk * D));
  }
  [[nodiscard]] int64_t block() const {
    const int64_t blocks = std::max<int64_t>(1, (Tq + kMaxBlock - 1) / kMaxBlock);
    return (Tq + blocks - 1) / blocks;
  }
};

Sizes check(const Tensor& q, const Tensor& k, const Tensor& v, int heads, const AttentionMask& mask) {
  const AttentionSizes s = attention_sizes(q, k, v, heads, mask);
  return {s.B, s.Tq, s.Tk, s.C, s.heads, s.D};
}

// Queries [i0, i0 + m) of one head. Those that do not see key j are the first hidden(j) of them.
struct Block {
  int64_t i0, m, ld;
  int64_t keys;   // no query of the block sees a key from here on
  int64_t shift;  // causal: query i sees key j if j <= i + shift; else a large number
  const int32_t* key_mask;

  Block(const Sizes& s, bool causal, const int32_t* mask, int64_t begin)
      : i0(begin),
        m(std::min(s.block(), s.Tq - begin)),
        ld((m + kLanes - 1) / kLanes * kLanes),
        shift(causal ? s.Tk - s.Tq : s.Tk),
        key_mask(mask) {
    keys = std::clamp<int64_t>(i0 + m + shift, 0, s.Tk);
  }
  [[nodiscard]] int64_t hidden(int64_t j) const {
    return key_mask && key_mask[j] == 0 ? m : std::clamp<int64_t>(j - shift - i0, 0, m);
  }
};

// s_ij of eq. (1) for the block, transposed: row j at scores + j * ld. What a query does not see is -inf.
template <class T>
void score(T* scores, const T* q, const T* k, const Sizes& s, const Block& block) {
  gemm<T>({.m = block.keys,
           .n = block.m,
           .k = s.D,
           .a = k,
           .lda = s.C,
           .b = q + block.i0 * s.C,
           .ldb = s.C,
           .trans_b = true,
           .c = scores,
           .ldc = block.ld,
           .alpha = T(1) / std::sqrt(static_cast<T>(s.D))});
  for (int64_t j = 0; j < block.keys; ++j) {
    std::fill_n(scores + j * block.ld, block.hidden(j), -std::numeric_limits<T>::infinity());
    std::fill_n(scores + j * block.ld + block.m, block.ld - block.m, T(0));
  }
}

// Scores -> probabilities, in place, and l (m) of eq. (1).
template <class T>
GMAIL_WIDEST void softmax(T* p, T* l, const Block& block) {
  const int64_t ld = block.ld;
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  alignas(kAlignment) T top[kMaxBlock], sum[kMaxBlock];
  std::fill_n(top, ld, kNone);
  std::fill_n(sum, ld, T(0));
  for (int64_t j = 0; j < block.keys; ++j) {
    const T* s = p + j * ld;
    GMAIL_SIMD
    for (int64_t i = 0; i < ld; ++i) top[i] = top[i] < s[i] ? s[i] : top[i];
  }
  for (int64_t i = 0; i < ld; ++i)
    top[i] = top[i] == kNone ? T(0) : top[i];  // sees nothing: exp(-inf - 0) = 0
  for (int64_t j = 0; j < block.keys; ++j) {
    T* s = p + j * ld;
    GMAIL_SIMD
    for (int64_t i = 0; i < ld; ++i) {
      s[i] = vexp(s[i] - top[i]);
      sum[i] += s[i];
    }
  }
  for (int64_t i = 0; i < block.m; ++i) l[i] = sum[i] == T(0) ? T(0) : top[i] + std::log(sum[i]);
  for (int64_t i = 0; i < ld; ++i) sum[i] = sum[i] == T(0) ? T(0) : T(1) / sum[i];
  for (int64_t j = 0; j < block.keys; ++j) {
    T* s = p + j * ld;
    GMAIL_SIMD
    for (int64_t i = 0; i < ld; ++i) s[i] *= sum[i];
  }
}

template <class T>
void forward_head(T* o, T* l, const T* q, const T* k, const T* v, const Sizes& s, bool causal,
                  const int32_t* mask) {
  const Scratch<T> p(s.Tk * (s.block() + kLanes));
  for (int64_t i0 = 0; i0 < s.Tq; i0 += s.block()) {
    const Block block(s, causal, mask, i0);
    score(p.data(), q, k, s, block);
    softmax(p.data(), l + i0, block);
    gemm<T>({.m = block.m,
             .n = s.D,
             .k = block.keys,
             .a = p.data(),
             .lda = block.ld,
             .trans_a = true,
             .b = v,
             .ldb = s.C,
             .c = o + i0 * s.C,
             .ldc = s.C});
  }
}

// s -> p and dp -> ds, both in place, eq. (2).
template <class T>
GMAIL_WIDEST void score_gradient(T* p, T* dp, const T* l, const T* o, const T* d_o, const Sizes& s,
                                 const Block& block) {
  const int64_t ld = block.ld;
  alignas(kAlignment) T lse[kMaxBlock] = {}, o_do[kMaxBlock] = {};
  for (int64_t i = 0; i < block.m; ++i) {
    const T *oi = o + i * s.C, *doi = d_o + i * s.C;
    T sum = 0;
    GMAIL_SIMD_SUM(sum)
    for (int64_t d = 0; d < s.D; ++d) sum += oi[d] * doi[d];
    lse[i] = l[i];
    o_do[i] = sum;
  }
  for (int64_t j = 0; j < block.keys; ++j) {
    T *pj = p + j * ld, *dpj = dp + j * ld;
    std::fill(dpj + block.m, dpj + ld, T(0));
    GMAIL_SIMD
    for (int64_t i = 0; i < ld; ++i) {
      pj[i] = vexp(pj[i] - lse[i]);
      dpj[i] = pj[i] * (dpj[i] - o_do[i]);
    }
  }
}

template <class T>
struct Head {
  const T *q, *k, *v, *o, *d_o, *l;
  GradWriter<T> dq, dk, dv;  // at this head's first element
};

// out (+)= sum (keys, D)
template <class T>
void put(const GradWriter<T>& out, const T* sum, const Sizes& s) {
  with_writer(out, [&](auto writer) {
    for (int64_t j = 0; j < s.Tk; ++j) {
      GMAIL_SIMD
      for (int64_t d = 0; d < s.D; ++d) writer.put(j * s.C + d, sum[j * s.D + d]);
    }
  });
}

// The keys that the first block of queries does not see get nothing from it.
template <class T>
void clear_unseen(T* dk, T* dv, int64_t seen, const Sizes& s) {
  std::fill(dk + seen * s.D, dk + s.Tk * s.D, T(0));
  std::fill(dv + seen * s.D, dv + s.Tk * s.D, T(0));
}

// dk and dv are summed aside and written last: dq, dk and dv may be one tensor.
template <class T>
void backward_head(const Head<T>& h, const Sizes& s, bool causal, const int32_t* mask) {
  const int64_t size = s.Tk * (s.block() + kLanes);
  const Scratch<T> p(size), dp(size), dk(s.Tk * s.D), dv(s.Tk * s.D);
  const T scale = T(1) / std::sqrt(static_cast<T>(s.D));
  for (int64_t i0 = 0; i0 < s.Tq; i0 += s.block()) {
    const Block block(s, causal, mask, i0);
    const T beta = i0 == 0 ? T(0) : T(1), *d_o = h.d_o + i0 * s.C;
    if (i0 == 0) clear_unseen(dk.data(), dv.data(), block.keys, s);
    score(p.data(), h.q, h.k, s, block);
    gemm<T>({.m = block.keys,
             .n = block.m,
             .k = s.D,
             .a = h.v,
             .lda = s.C,
             .b = d_o,
             .ldb = s.C,
             .trans_b = true,
             .c = dp.data(),
             .ldc = block.ld});
    score_gradient(p.data(), dp.data(), h.l + i0, h.o + i0 * s.C, d_o, s, block);
    if (h.dv)
      gemm<T>({.m = block.keys,
               .n = s.D,
               .k = block.m,
               .a = p.data(),
               .lda = block.ld,
               .b = d_o,
               .ldb = s.C,
               .c = dv.data(),
               .ldc = s.D,
               .beta = beta});
    if (h.dk)  // eq. (3)
      gemm<T>({.m = block.keys,
               .n = s.D,
               .k = block.m,
               .a = dp.data(),
               .lda = block.ld,
               .b = h.q + i0 * s.C,
               .ldb = s.C,
               .c = dk.data(),
               .ldc = s.D,
               .alpha = scale,
               .beta = beta});
    if (h.dq)
      gemm<T>({.m = block.m,
               .n = s.D,
               .k = block.keys,
               .a = dp.data(),
               .lda = block.ld,
               .trans_a = true,
               .b = h.k,
               .ldb = s.C,
               .c = h.dq.p + i0 * s.C,
               .ldc = s.C,
               .alpha = scale,
               .beta = h.dq.add ? T(1) : T(0)});
  }
  if (h.dk) put(h.dk, dk.data(), s);
  if (h.dv) put(h.dv, dv.data(), s);
}

// f(batch element, offset of the head in q, offset in k, offset in l) for every head, in parallel.
template <class F>
void for_each_head(const Sizes& s, F&& f) {
  parallel_for(s.B * s.heads, s.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t h = begin; h < end; ++h) {
      const int64_t b = h / s.heads, column = h % s.heads * s.D;
      f(b, b * s.Tq * s.C + column, b * s.Tk * s.C + column, h * s.Tq);
    }
  });
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
    for_each_head(s, [&](int64_t b, int64_t at_q, int64_t at_k, int64_t at_l) {
      forward_head<T>(po + at_q, pl + at_l, pq + at_q, pk + at_k, pv + at_k, s, mask.causal,
                      keys ? keys + b * s.Tk : nullptr);
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
    const T *pdo = d_o.data<T>(), *po = o.data<T>(), *pl = l.data<T>();
    const T *pq = q.data<T>(), *pk = k.data<T>(), *pv = v.data<T>();
    const GradWriter<T> wq(dq), wk(dk), wv(dv);
    for_each_head(s, [&](int64_t b, int64_t at_q, int64_t at_k, int64_t at_l) {
      Head<T> h{pq + at_q, pk + at_k, pv + at_k, po + at_q, pdo + at_q, pl + at_l, wq, wk, wv};
      if (wq) h.dq.p += at_q;
      if (wk) h.dk.p += at_k;
      if (wv) h.dv.p += at_k;
      backward_head<T>(h, s, mask.causal, keys ? keys + b * s.Tk : nullptr);
    });
  });
}

}  // namespace cpu
}  // namespace gmail

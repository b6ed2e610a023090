// Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762, eq. 1) for all heads at once. For a
// head of size D = C / heads, scale = 1 / sqrt(D), rows i of Tq queries, columns j of Tk keys:
//   (1)  s_ij = scale q_i . k_j   (-inf where masked),   l_i = log sum_j exp(s_ij),   p_ij = exp(s_ij -
//     l_i),   o_i = sum_j p_ij v_j
//   (2)  dv_j = sum_i p_ij do_i,   dp_ij = do_i . v_j,   ds_ij = p_ij (dp_ij - do_i . o_i)
//   (3)  dq_i = scale sum_j ds_ij k_j,   dk_j = scale sum_i ds_ij q_i
// Saved for backward: o and l (B, heads, Tq); p is computed again, so nothing of size Tq x Tk outlives a
// head. A row whose keys are all masked gives o = 0, l = -inf and no gradient.
#pragma once

#include "ops/grad.h"

namespace gmail {
struct AttentionMask {
  bool causal = false;  // key j is seen by query i if j <= i + Tk - Tq
  Tensor keys;          // (B, Tk) int32, absent: all; key j of b is seen if keys[b, j] != 0
};
struct AttentionSizes {
  int64_t B, Tq, Tk, C, heads, D;
};
[[nodiscard]] AttentionSizes attention_sizes(const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                                             const AttentionMask& mask);  // checks them

namespace cpu {
// q (B, Tq, C), k, v (B, Tk, C), o (B, Tq, C), l (B, heads, Tq)
void attention_forward(Tensor& o, Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                       const AttentionMask& mask);
void attention_backward(Grad dq, Grad dk, Grad dv, const Tensor& d_o, const Tensor& o, const Tensor& l,
                        const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                        const AttentionMask& mask);
}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/attention.cu
void attention_forward(Tensor& o, Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                       const AttentionMask& mask, Stream stream);
void attention_backward(Grad dq, Grad dk, Grad dv, const Tensor& d_o, const Tensor& o, const Tensor& l,
                        const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                        const AttentionMask& mask, Stream stream);
}  // namespace cuda
}  // namespace gmail

#include "ops/attention.h"

#include "attention_backward.cuh"
#include "attention_forward.cuh"
#include "attention_naive.cuh"
#include "core/cuda_options.h"
#include "dnn_ops.h"

namespace gmail::cuda {
namespace {

bool fits_tiles(const Tensor& q, const AttentionSizes& s) {
  return cuda_options().attention != AttentionEngine::naive && q.dtype() == DType::bfloat16 &&
         s.D <= tiles::kMaxHead;
}

// The tiles write the three gradients in no particular order.
bool apart(const Grad& a, const Grad& b) { return !a || !b || a.t.raw() != b.t.raw(); }

}  // namespace

void attention_forward(Tensor& o, Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                       const AttentionMask& mask, Stream stream) {
  const AttentionSizes s = attention_sizes(q, k, v, heads, mask);
  if (dnn::attention_forward(o, l, q, k, v, s, mask, stream)) return;
  if (fits_tiles(q, s)) return tiles::forward(o, l, q, k, v, s, mask, stream);
  naive::forward(o, l, q, k, v, s, mask, stream);
}

void attention_backward(Grad dq, Grad dk, Grad dv, const Tensor& d_o, const Tensor& o, const Tensor& l,
                        const Tensor& q, const Tensor& k, const Tensor& v, int heads,
                        const AttentionMask& mask, Stream stream) {
  const AttentionSizes s = attention_sizes(q, k, v, heads, mask);
  if (dnn::attention_backward(dq, dk, dv, d_o, o, l, q, k, v, s, mask, stream)) return;
  if (fits_tiles(q, s) && apart(dq, dk) && apart(dq, dv) && apart(dk, dv))
    return tiles::backward(dq, dk, dv, d_o, o, l, q, k, v, s, mask, stream);
  naive::backward(dq, dk, dv, d_o, o, l, q, k, v, s, mask, stream);
}

}  // namespace gmail::cuda

// Cross-entropy of a softmax. logits z (N, V), targets (N) int32, mask (N) int32 or absent (all ones);
// M counts the rows with mask != 0:
//   (1)  l_n = log sum_v exp(z_nv),   L = 1/M sum over those rows of l_n - z_n[target_n];   L = 0 if M = 0
//   (2)  dz_nv = dL / M (exp(z_nv - l_n) - [v = target_n]),   0 in rows with mask = 0
// Saved for backward: l (N). A target outside 0 .. V-1 in a row that counts is an error that names the row
// and the target (CPU) or a loss of NaN (CUDA); in the other rows logits and targets may be anything. dz may
// take the memory of z.
#pragma once

#include "ops/grad.h"
#include "ops/row_sizes.h"

namespace gmail {

// checks the shapes: N and V
[[nodiscard]] RowSizes cross_entropy_sizes(const Tensor& logits, const Tensor& targets, const Tensor& mask);

namespace cpu {

void softmax_cross_entropy_forward(Tensor& loss, Tensor& l, const Tensor& logits, const Tensor& targets,
                                   const Tensor& mask);
void softmax_cross_entropy_backward(Grad dlogits, const Tensor& dloss, const Tensor& logits, const Tensor& l,
                                    const Tensor& targets, const Tensor& mask);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/cross_entropy.cu
void softmax_cross_entropy_forward(Tensor& loss, Tensor& l, const Tensor& logits, const Tensor& targets,
                                   const Tensor& mask, Stream stream);
void softmax_cross_entropy_backward(Grad dlogits, const Tensor& dloss, const Tensor& logits, const Tensor& l,
                                    const Tensor& targets, const Tensor& mask, Stream stream);
}  // namespace cuda
}  // namespace gmail

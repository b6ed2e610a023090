// Batched matrix product c = op(a) op(b), op = transpose of the last two dimensions if asked; op(a) (..., M,
// K), op(b) (..., K, N), c (..., M, N), the leading dimensions equal.
//   (1)  c = A B,   A = op(a), B = op(b)
//   (2)  dA = dc B^T,   dB = A^T dc      and da = op(dA), db = op(dB)
#pragma once

#include "ops/grad.h"

namespace gmail {

struct MatmulSizes {
  int64_t batch, M, N, K;
};
[[nodiscard]] MatmulSizes matmul_sizes(const Tensor& a, const Tensor& b, bool ta, bool tb);  // checks them

namespace cpu {

void matmul_forward(Tensor& c, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b);
void matmul_backward(Grad da, Grad db, const Tensor& dc, const Tensor& a, const Tensor& b, bool transpose_a,
                     bool transpose_b);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/matmul.cu
void matmul_forward(Tensor& c, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b,
                    Stream stream);
void matmul_backward(Grad da, Grad db, const Tensor& dc, const Tensor& a, const Tensor& b, bool transpose_a,
                     bool transpose_b, Stream stream);
}  // namespace cuda
}  // namespace gmail

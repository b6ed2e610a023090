// GEGLU (Shazeer 2020, arXiv:2002.05202; in this order in Stable Diffusion's transformer blocks). The last
// dimension of x (..., 2C) holds a value v (..., C) and a gate g (..., C):
//   (1)  y  = v gelu(g),          gelu(g) = g Phi(g), the erf form of ops/activation.h
//   (2)  dv = dy gelu(g),   dg = dy v gelu'(g)
#pragma once

#include "ops/grad.h"
#include "ops/row_sizes.h"

namespace gmail {

[[nodiscard]] RowSizes geglu_sizes(const Tensor& x, const Tensor& y);  // checks them

namespace cpu {

void geglu_forward(Tensor& y, const Tensor& x);
void geglu_backward(Grad dx, const Tensor& dy, const Tensor& x);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/geglu.cu
void geglu_forward(Tensor& y, const Tensor& x, Stream stream);
void geglu_backward(Grad dx, const Tensor& dy, const Tensor& x, Stream stream);
}  // namespace cuda
}  // namespace gmail

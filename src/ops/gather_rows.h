// One token of each sequence. x (B, T, C), index (B) int32, y (B, C):
//   (1)  y_b = x[b, index_b]
//   (2)  dx[b, t] = dy_b if t = index_b, else 0
#pragma once

#include "ops/grad.h"

namespace gmail {

struct GatherSizes {
  int64_t B, T, C;
};
[[nodiscard]] GatherSizes gather_rows_sizes(const Tensor& x, const Tensor& index,
                                            const Tensor& y);  // checks them

namespace cpu {

void gather_rows_forward(Tensor& y, const Tensor& x, const Tensor& index);
void gather_rows_backward(Grad dx, const Tensor& dy, const Tensor& index);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/gather_rows.cu
void gather_rows_forward(Tensor& y, const Tensor& x, const Tensor& index, Stream stream);
void gather_rows_backward(Grad dx, const Tensor& dy, const Tensor& index, Stream stream);
}  // namespace cuda
}  // namespace gmail

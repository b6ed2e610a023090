// Look-up of rows. table (V, C), ids (...) int32, y (..., C):
//   (1)  y_i = table[ids_i]
//   (2)  dtable_v = sum of dy_i over the i with ids_i = v, in the order of i
// An id outside 0 .. V-1 is an error that names its position (CPU), or gives a row of NaN (CUDA, which
// cannot stop).
#pragma once

#include "ops/grad.h"

namespace gmail {

struct EmbeddingSizes {
  int64_t N, V, C;
};
[[nodiscard]] EmbeddingSizes embedding_sizes(const Tensor& table, const Tensor& ids,
                                             const Tensor& y);  // checks them

namespace cpu {

void embedding_forward(Tensor& y, const Tensor& table, const Tensor& ids);
void embedding_backward(Grad dtable, const Tensor& dy, const Tensor& ids);

}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/embedding.cu
void embedding_forward(Tensor& y, const Tensor& table, const Tensor& ids, Stream stream);
void embedding_backward(Grad dtable, const Tensor& dy, const Tensor& ids, Stream stream);
}  // namespace cuda
}  // namespace gmail

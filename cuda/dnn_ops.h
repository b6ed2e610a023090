// The ops that cuDNN can do. Each returns true if it did, false if the caller's own kernel has to:
// cuda_options() names another engine, or cuDNN cannot, and cudnn_fallbacks() says why. To ask for cuDNN in a
// build without it is an error.
#pragma once

#include "dnn.h"
#include "ops/attention.h"
#include "ops/conv2d.h"

namespace gmail::cuda::dnn {

[[nodiscard]] bool conv2d_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, int stride,
                                  int pad, Stream stream);
[[nodiscard]] bool conv2d_input_gradient(Grad dx, const Tensor& dy, const Tensor& w, int stride, int pad,
                                         Stream stream);
[[nodiscard]] bool conv2d_weight_gradient(Grad dw, const Tensor& dy, const Tensor& x, const Tensor& w,
                                          int stride, int pad, Stream stream);

[[nodiscard]] bool attention_forward(Tensor& o, Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v,
                                     const AttentionSizes& s, const AttentionMask& mask, Stream stream);
[[nodiscard]] bool attention_backward(Grad dq, Grad dk, Grad dv, const Tensor& d_o, const Tensor& o,
                                      const Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v,
                                      const AttentionSizes& s, const AttentionMask& mask, Stream stream);

// Notes it for cudnn_fallbacks(); false, for `return fell_back(..)`.
bool fell_back(const std::string& what, const std::string& why);

// Where cuDNN writes a gradient: its own memory, or a temporary if it is absent or to be added to (then add()
// adds).
[[nodiscard]] Tensor target(const Grad& g, const Shape& shape, DType type, Stream stream);
void add(Grad g, const Tensor& t, Stream stream);

}  // namespace gmail::cuda::dnn

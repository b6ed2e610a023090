#include "ops/mlp.h"

#include "blas.h"
#include "ops/linear.h"
#include "temporary.h"

namespace gmail::cuda {
namespace {

// h and a of eq. (1) in one product, if the library has this activation and this shape
bool forward_at_once(Tensor& h, Tensor& a, const Tensor& x, const Tensor& w1, const Tensor& b1,
                     Activation act, Stream stream) {
  if (act != Activation::gelu_tanh || h.numel() == 0) return false;
  const auto [N, I, H] = linear_sizes(x, w1, b1);
  const Tensor weight = in_type(w1, x.dtype(), stream);
  return try_product({.m = N,
                      .n = H,
                      .k = I,
                      .a = {&x, I},
                      .b = {&weight, I, true},
                      .c = a,
                      .ldc = H,
                      .bias = in_type(b1, a.dtype(), stream),
                      .epilogue = Epilogue::gelu,
                      .aux = h},
                     stream);
}

// dh of eq. (2) in one product
bool backward_at_once(Tensor& dh, const Tensor& dy, const Tensor& h, const Tensor& w2, Activation act,
                      Stream stream) {
  if (act != Activation::gelu_tanh || dh.numel() == 0) return false;
  const int64_t O = w2.size(0), H = w2.size(1);
  const Tensor weight = in_type(w2, dy.dtype(), stream);
  return try_product({.m = dy.numel() / O,
                      .n = H,
                      .k = O,
                      .a = {&dy, O},
                      .b = {&weight, H},
                      .c = dh,
                      .ldc = H,
                      .epilogue = Epilogue::dgelu,
                      .aux = h},
                     stream);
}

}  // namespace

void mlp_forward(Tensor& y, Tensor& h, Tensor& a, const Tensor& x, const Tensor& w1, const Tensor& b1,
                 const Tensor& w2, const Tensor& b2, const Tensor& residual, Activation act, Stream stream) {
  if (!forward_at_once(h, a, x, w1, b1, act, stream)) {
    linear_forward(h, x, w1, b1, {}, 1, stream);
    activation_forward(a, h, act, stream);
  }
  linear_forward(y, a, w2, b2, residual, 1, stream);
}

void mlp_backward(const MlpGrads& g, Tensor& da, Tensor& dh, const Tensor& dy, const Tensor& x,
                  const Tensor& h, const Tensor& a, const Tensor& w1, const Tensor& w2, Activation act,
                  Stream stream) {
  linear_backward({}, g.dw2, g.db2, dy, a, w2, 1, stream);
  if (!g.dx && !g.dw1 && !g.db1) return;
  if (!backward_at_once(dh, dy, h, w2, act, stream)) {
    linear_backward({da}, {}, {}, dy, a, w2, 1, stream);
    activation_backward({dh}, da, h, act, stream);
  }
  linear_backward(g.dx, g.dw1, g.db1, dh, x, w1, 1, stream);
}

}  // namespace gmail::cuda

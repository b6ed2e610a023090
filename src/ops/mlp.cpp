#include "ops/mlp.h"

#include "ops/linear.h"

namespace gmail::cpu {

void mlp_forward(Tensor& y, Tensor& h, Tensor& a, const Tensor& x, const Tensor& w1, const Tensor& b1,
                 const Tensor& w2, const Tensor& b2, const Tensor& residual, Activation act) {
  linear_forward(h, x, w1, b1, {}, 1);
  activation_forward(a, h, act);
  linear_forward(y, a, w2, b2, residual, 1);
}

void mlp_backward(const MlpGrads& g, Tensor& da, Tensor& dh, const Tensor& dy, const Tensor& x,
                  const Tensor& h, const Tensor& a, const Tensor& w1, const Tensor& w2, Activation act) {
  const bool deeper = g.dx || g.dw1 || g.db1;
  linear_backward(deeper ? Grad{da} : Grad{}, g.dw2, g.db2, dy, a, w2, 1);
  if (!deeper) return;
  activation_backward({dh}, da, h, act);
  linear_backward(g.dx, g.dw1, g.db1, dh, x, w1, 1);
}

}  // namespace gmail::cpu

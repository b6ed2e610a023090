#include "ops/lora.h"

#include "ops/linear.h"

namespace gmail {

Shape lora_saved_shape(const Tensor& x, const LoraLayer& layer) {
  const Tensor &w = layer.w, &a = layer.a, &b = layer.b;
  GMAIL_CHECK(w.rank() == 2 && a.rank() == 2 && b.rank() == 2 && a.size(1) == w.size(1) &&
                  b.size(0) == w.size(0) && b.size(1) == a.size(0),
              "[lora] a ", a.shape(), " and b ", b.shape(), " are no update of a weight ", w.shape());
  return x.device() == Device::cpu ? x.shape().with(x.rank() - 1, a.size(0)) : w.shape();
}

namespace cpu {

// eq. (1)
void lora_forward(Tensor& y, Tensor& l, const Tensor& x, const LoraLayer& layer) {
  linear_forward(y, x, layer.w, layer.bias, layer.residual, 1);
  if (!layer.a) return;
  linear_forward(l, x, layer.a, {}, {}, 1);
  linear_forward(y, l, layer.b, {}, y, layer.scale);
}

// eq. (4), and (3) by way of dl
void lora_backward(Grad dx, std::vector<LoraGrads> grads, const std::vector<Tensor>& dy, const Tensor& x,
                   const std::vector<LoraLayer>& layers, const std::vector<Tensor>& l) {
  for (size_t i = layers.size(); i-- > 0;) {
    if (!dy[i]) continue;
    const LoraLayer& layer = layers[i];
    const LoraGrads& g = grads[i];
    if (layer.a) {
      const Grad dl{dx || g.da ? Tensor::empty(l[i].shape(), l[i].dtype()) : Tensor()};
      linear_backward(dl, g.db, {}, dy[i], l[i], layer.b, layer.scale);
      if (dl) linear_backward(dx, g.da, {}, dl.t, x, layer.a, 1);
      dx.add = dx.add || dl;
    }
    linear_backward(dx, g.dw, g.dbias, dy[i], x, layer.w, 1);
    dx.add = true;
  }
}

}  // namespace cpu
}  // namespace gmail

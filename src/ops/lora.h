// Linear layers with a low-rank update (LoRA, Hu et al. 2021, arXiv:2106.09685, eq. 3) that read one input,
// as q, k and v of an attention do. x (..., I) with N rows; for each layer w (O, I), a (r, I), b (O, r),
// scale s = alpha / r; bias (O) and residual (..., O) optional; without a and b it is a plain linear layer.
//   (1)  y = x w^T + s (x a^T) b^T + bias + residual
//   (2)    = x v^T + bias + residual,   v = w + s b a   (O, I)
//   (3)  dx = sum over the layers of dy v,   dw = dy^T x,   dbias = sum_N dy          (residual: dy itself)
//   (4)  da = dl^T x,   dl = s dy b,   db = s dy^T l,   l = x a^T                          l and dl (N, r)
// The CPU computes (1), and dy v as dl a + dy w; it saves l. The device computes (2): v is summed in float32
// and rounded once, and saved; in (4) l and dl of all layers stand side by side in one matrix, so that one
// product reads x for every l, and one for every da. How often activations of (N, I) elements are read or
// written, for three layers with I = O and dx asked for:
//                                     forward   backward
//   frozen layers without an update         6          8
//   (1), layer by layer                    15         23
//   (2) to (4)                              6         16
// In bfloat16 (2) also rounds once where (1) rounds y twice: of an update as small as y's last bit, (1) loses
// most, and (2) keeps it if w is float32.
#pragma once

#include <vector>

#include "ops/grad.h"

namespace gmail {

struct LoraLayer {
  Tensor w, bias, a, b;
  double scale = 1;  // alpha / r
  Tensor residual;
};
struct LoraGrads {
  Grad dw, dbias, da, db;
};

// of what the forward pass of a layer with an update saves for the backward pass: l or v, of x's type
[[nodiscard]] Shape lora_saved_shape(const Tensor& x, const LoraLayer& layer);

namespace cpu {
// one layer: y (..., O) and `saved` are written
void lora_forward(Tensor& y, Tensor& saved, const Tensor& x, const LoraLayer& layer);
// all layers, the last first; a layer without dy gave nothing to the loss. x is read for dw, da and db alone.
void lora_backward(Grad dx, std::vector<LoraGrads> grads, const std::vector<Tensor>& dy, const Tensor& x,
                   const std::vector<LoraLayer>& layers, const std::vector<Tensor>& saved);
}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/lora.cu
void lora_forward(Tensor& y, Tensor& saved, const Tensor& x, const LoraLayer& layer, Stream stream);
void lora_backward(Grad dx, std::vector<LoraGrads> grads, const std::vector<Tensor>& dy, const Tensor& x,
                   const std::vector<LoraLayer>& layers, const std::vector<Tensor>& saved, Stream stream);
}  // namespace cuda
}  // namespace gmail

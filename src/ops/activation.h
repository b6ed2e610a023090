// Activations, element by element. s(x) = 1 / (1 + exp(-x)), Phi the normal distribution function, phi
// its density.
//   (1)  quick_gelu  y = x s(1.702 x)                        dy/dx = s + 1.702 x s (1 - s),  s = s(1.702 x)
//   (2)  gelu_erf    y = x Phi(x)                            dy/dx = Phi(x) + x phi(x)
//   (3)  gelu_tanh   y = x (1 + tanh u) / 2                  dy/dx = (1 + t + x (1 - t^2) u') / 2, t = tanh u
//                    u = sqrt(2/pi) (x + 0.044715 x^3)
//   (4)  silu        y = x s(x)                              dy/dx = s (1 + x (1 - s))
//   (5)  relu        y = max(x, 0)                           dy/dx = [x > 0]
//   (6)  tanh        y = tanh x                              dy/dx = 1 - tanh(x)^2
// (1) is OpenAI CLIP's, (2) and (3): Hendrycks & Gimpel 2016, arXiv:1606.08415, (3) in GPT-2's form,
// (4) Elfwing et al. 2017, arXiv:1702.03118.
#pragma once

#include "ops/grad.h"

namespace gmail {
enum class Activation : uint8_t { quick_gelu, gelu_erf, gelu_tanh, silu, relu, tanh };

// Calls f with the kind's struct, of a backend's six in the order of the equations.
template <class QuickGelu, class GeluErf, class GeluTanh, class Silu, class Relu, class Tanh, class F>
void choose_activation(Activation kind, F& f) {
  switch (kind) {
    case Activation::quick_gelu:
      return f(QuickGelu{});
    case Activation::gelu_erf:
      return f(GeluErf{});
    case Activation::gelu_tanh:
      return f(GeluTanh{});
    case Activation::silu:
      return f(Silu{});
    case Activation::relu:
      return f(Relu{});
    case Activation::tanh:
      return f(Tanh{});
  }
  throw Error("[activation] unknown kind");
}

namespace cpu {
void activation_forward(Tensor& y, const Tensor& x, Activation kind);
void activation_backward(Grad dx, const Tensor& dy, const Tensor& x, Activation kind);
}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/activation.cu
void activation_forward(Tensor& y, const Tensor& x, Activation kind, Stream stream);
void activation_backward(Grad dx, const Tensor& dy, const Tensor& x, Activation kind, Stream stream);
}  // namespace cuda
}  // namespace gmail

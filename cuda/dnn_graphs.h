// Our ops as graphs of dnn.h: pure data, the same for cuDNN and for the emulator's twin.
#pragma once

#include "core/shape.h"
#include "dnn.h"

namespace gmail::cuda::dnn {

// conv2d.h with x (B, H, W, I), y (B, H', W', O) and the weights here as (O, kh, kw, I), what fast engines
// read.
struct Conv {
  Shape x, w, y;  // w as the op has it, (O, I, kh, kw)
  int64_t stride, pad;
  DType type;
  bool tf32;
  [[nodiscard]] std::string key(const char* what) const;
};
enum class Bias : uint8_t { none, fused };
[[nodiscard]] Graph forward(const Conv& c, Bias bias);  // given x, w [, b (O) float32], y
[[nodiscard]] Graph input_gradient(const Conv& c);      // given dy, w, dx
[[nodiscard]] Graph weight_gradient(const Conv& c);     // given dy, x, dw

// attention.h with q, o (B, Tq, heads D) and k, v (B, Tk, heads D), bfloat16. Which keys a query sees: all,
// those up to its own place (Tq = Tk), or as a bias (B, 1, Tq, Tk) in rows of bias_row(Tk) elements says,
// which is added to s. l and delta (do_i . o_i) are (B, heads, Tq) float32.
enum class Sees : uint8_t { all, causal, bias };
struct Attention {
  int64_t B, heads, Tq, Tk, D;
  Sees sees;
  [[nodiscard]] std::string key(const char* what) const;
};
[[nodiscard]] constexpr int64_t bias_row(int64_t Tk) { return (Tk + 7) / 8 * 8; }
[[nodiscard]] Graph forward(const Attention& a);   // given q, k, v [, bias], o, l
[[nodiscard]] Graph backward(const Attention& a);  // given q, k, v [, bias], o, l, do, dq, dk, dv, delta

}  // namespace gmail::cuda::dnn

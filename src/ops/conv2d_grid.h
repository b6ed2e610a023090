// What the files of conv2d share: which pixels meet.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/grad.h"

namespace gmail::cpu::conv {

struct Sizes {
  int64_t B, H, W, I, O, kh, kw, Ho, Wo, stride, pad;
  [[nodiscard]] bool pointwise() const { return kh == 1 && kw == 1 && stride == 1 && pad == 0; }
};

// A grid of output pixels (u, v) and the source pixels that they meet: (u step + dh, v step + dw) for each
// tap, `width` consecutive elements from there. The result of (u, v) belongs to pixel (u out_step + out_h, v
// out_step + out_w).
struct Grid {
  int64_t B, U, V;
  int64_t H, W, C;  // source
  int64_t step, width;
  std::vector<int64_t> dh, dw;
  int64_t out_H, out_W, out_step, out_h, out_w;
  [[nodiscard]] int64_t taps() const { return static_cast<int64_t>(dh.size()); }
  [[nodiscard]] int64_t pixels() const { return B * U * V; }
  [[nodiscard]] int64_t depth() const { return taps() * width; }
};

// The taps of eq. (1). Without padding a row of the kernel meets consecutive memory and is one tap.
[[nodiscard]] inline Grid forward_grid(const Sizes& s) {
  Grid g{s.B, s.Ho, s.Wo, s.H, s.W, s.I, s.stride, s.I, {}, {}, s.Ho, s.Wo, 1, 0, 0};
  if (s.pad == 0) g.width = s.kw * s.I;
  for (int64_t p = 0; p < s.kh; ++p)
    for (int64_t q = 0; q < (s.pad == 0 ? 1 : s.kw); ++q)
      g.dh.push_back(p - s.pad), g.dw.push_back(q - s.pad);
  return g;
}

// Elements of a row of the packed matrix at one time (second-level cache), and of its columns (first level).
template <class T>
constexpr int64_t kColumns = 1536 / static_cast<int64_t>(sizeof(T));
template <class T>
constexpr int64_t kDepth = 1280 / static_cast<int64_t>(sizeof(T));

// Eq. (3) of conv2d.h.
template <class T>
void weight_gradient(GradWriter<T> dw, const T* dy, const T* x, const Sizes& s);

}  // namespace gmail::cpu::conv

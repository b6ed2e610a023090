// Inside resize: the weights of eq. (1) of resize.h, and the two passes of eq. (2) in vector code.
#pragma once

#include "data/resize.h"

namespace gmail {

// Output pixel x is made of the input pixels first[x] .. first[x] + count[x] - 1.
struct Taps {
  int64_t stride = 0;            // weights kept for each output pixel, a multiple of 4; zero after count[x]
  std::vector<int64_t> first;    // (n)
  std::vector<int64_t> count;    // (n)
  std::vector<int32_t> weights;  // (n, stride)
  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(first.size()); }
  [[nodiscard]] const int32_t* of(int64_t x) const { return weights.data() + x * stride; }
};

constexpr int kFraction = 22;  // bits of a weight after the point: 32, less 8 of a pixel, 2 for overshoot

struct ResizePlan {
  Window source;      // all that the taps reach; they count from its corner
  Taps across, down;  // along rows, along columns
  bool down_first = false;
};
[[nodiscard]] Image resize_plain(const Image& image, const ResizePlan& plan);
// The same bytes with AVX2; plain where the program is built without it.
[[nodiscard]] Image resize_vector(const Image& image, const ResizePlan& plan);

}  // namespace gmail

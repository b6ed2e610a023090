// From pixels of 8 bits to the numbers a model sees, and back, by channel, channels last. To the bit what
// transformers' CLIPImageProcessor makes of them on Pillow's images: the product in float64 and rounded, then
// the rest in float32,
//   (1)  x = float32(v * scale),   y = (x - float32(mean)) / float32(std)
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/tensor.h"
#include "data/image.h"

namespace gmail {

struct Normalisation {
  std::array<double, 3> mean, std;
  double scale = 1.0 / 255;
  bool operator==(const Normalisation&) const = default;
};
// [openai/CLIP: clip/clip.py _transform]
constexpr Normalisation kClipNormalisation = {{0.48145466, 0.4578275, 0.40821073},
                                              {0.26862954, 0.26130258, 0.27577711}};
constexpr Normalisation kHalfNormalisation = {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}};  // [-1, 1]: diffusion

// What is done to one image: it is moved by (x, y) pixels, the border mirrored, then flipped left to right.
struct Shift {
  int64_t x = 0, y = 0;
  bool flip = false;
};

// What may be done to it.
struct Augment {
  int64_t crop_shift = 0;  // up to so many pixels in each direction: a random crop of the padded image
  bool flip = false;       // or not, with equal chance
};

// Drawn for place i of step `step`; nothing else enters.
[[nodiscard]] Shift draw_shift(const Augment& augment, uint64_t seed, int64_t step, int64_t i);

class Normaliser {
 public:
  explicit Normaliser(const Normalisation& n);
  // out, pixels: (size, size, 3); |shift| < size
  void operator()(float* out, const uint8_t* pixels, int64_t size, const Shift& shift = {}) const;

 private:
  std::array<std::array<float, 256>, 3> value_{};  // of each channel and pixel
};

// Images of one size, all S x S -> (B, S, S, 3) float32
[[nodiscard]] Tensor normalise(std::span<const Image> images, const Normalisation& n);

// Image i of (B, S, S, 3) float32, rounded and clipped to 8 bits: the inverse of the above.
[[nodiscard]] Image denormalise(const Tensor& images, int64_t i, const Normalisation& n);

}  // namespace gmail

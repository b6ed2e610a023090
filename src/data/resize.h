// Antialiased resizing in the integer arithmetic of Pillow's Image.resize, to the last bit
// [python-pillow/Pillow: src/libImaging/Resample.c]. Per output pixel x, with scale = in / out,
//   (1) centre = (x + 0.5) scale,  weight_i = k((i - centre + 0.5) / max(1, scale)), normalised to sum 1,
//       rounded to 22 fractional bits;  k = bicubic (a = -0.5, support 2) or the triangle (support 1)
//   (2) value = (sum_i weight_i pixel_i + 2^21) >> 22, clipped to 0 .. 255
// along rows first, rounded to 8 bits by (2), then along columns. Pillow goes along columns first since 13.0
// where that is less work by its estimate,
//   (3) height - new height > 2 (width - new width),  height > new height
// which of CLIP's images are those more than twice as high as wide that shrink; a value may differ by several
// steps between the two.
#pragma once

#include "data/image.h"

namespace gmail {

enum class Filter { bilinear = 2, bicubic = 3 };  // Pillow's numbers
enum class Passes { rows_first, as_pillow_13 };   // before Pillow 13; by eq. (3)

struct Resample {
  Filter filter = Filter::bicubic;
  Passes passes = Passes::as_pillow_13;
  bool operator==(const Resample&) const = default;
};

struct Window {
  int64_t x = 0, y = 0, width = 0, height = 0;
};

[[nodiscard]] Image resize(const Image& image, int64_t width, int64_t height, const Resample& how = {});

// That window of the resized image: the bytes of crop(resize(..), ..), without the work for the rest.
[[nodiscard]] Image resize_window(const Image& image, int64_t width, int64_t height, const Window& window,
                                  const Resample& how = {});

// The same bytes by plain loops: the specification.
[[nodiscard]] Image resize_window_naive(const Image& image, int64_t width, int64_t height,
                                        const Window& window, const Resample& how = {});

}  // namespace gmail

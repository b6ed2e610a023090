#include "data/augment.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/parallel_for.h"
#include "core/rng.h"

namespace gmail {
namespace {

// 0 1 2 3 goes on as 2 1 on the right, and as 1 2 on the left; |i| < 2 n - 1
int64_t mirrored(int64_t i, int64_t n) {
  if (i < 0) return -i;
  return i < n ? i : 2 * (n - 1) - i;
}

}  // namespace

Shift draw_shift(const Augment& augment, uint64_t seed, int64_t step, int64_t i) {
  Rng rng(seed, Purpose::augment, static_cast<uint64_t>(step), static_cast<uint64_t>(i));
  const int64_t reach = 2 * augment.crop_shift + 1;
  Shift s;
  s.x = rng.below(reach) - augment.crop_shift;
  s.y = rng.below(reach) - augment.crop_shift;
  s.flip = rng.chance(0.5) && augment.flip;
  return s;
}

Normaliser::Normaliser(const Normalisation& n) {
  for (size_t c = 0; c < 3; ++c)
    for (size_t v = 0; v < 256; ++v) {
      const auto x = static_cast<float>(static_cast<double>(v) * n.scale);
      value_[c][v] = (x - static_cast<float>(n.mean[c])) / static_cast<float>(n.std[c]);  // eq. (1)
    }
}

void Normaliser::operator()(float* out, const uint8_t* pixels, int64_t size, const Shift& shift) const {
  GMAIL_CHECK(std::abs(shift.x) < size && std::abs(shift.y) < size, "[normalise] a shift of (", shift.x, ", ",
              shift.y, ") pixels of an image of ", size);
  for (int64_t y = 0; y < size; ++y) {
    const uint8_t* row = pixels + mirrored(y + shift.y, size) * size * 3;
    for (int64_t x = 0; x < size; ++x) {
      const uint8_t* p = row + mirrored((shift.flip ? size - 1 - x : x) + shift.x, size) * 3;
      for (size_t c = 0; c < 3; ++c) *out++ = value_[c][p[c]];
    }
  }
}

Tensor normalise(std::span<const Image> images, const Normalisation& n) {
  GMAIL_CHECK(!images.empty(), "[normalise] no images");
  const int64_t B = static_cast<int64_t>(images.size()), S = images[0].width;
  for (const Image& image : images)
    GMAIL_CHECK(image.width == S && image.height == S, "[normalise] expected ", S, " x ", S, " pixels, got ",
                image.width, " x ", image.height);
  Tensor out = Tensor::empty({B, S, S, 3});  // (B, S, S, 3)
  auto* data = out.data<float>();
  const Normaliser normaliser(n);
  parallel_for(B, 8, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      normaliser(data + b * S * S * 3, images[static_cast<size_t>(b)].rgb.data(), S);
  });
  return out;
}

Image denormalise(const Tensor& images, int64_t i, const Normalisation& n) {
  GMAIL_CHECK(images.rank() == 4 && images.size(3) == 3 && i >= 0 && i < images.size(0),
              "[denormalise] image ", i, " of ", images.shape());
  Image image(images.size(2), images.size(1));
  const float* in = images.rows(i, i + 1).data<float>();
  for (size_t k = 0; k < image.rgb.size(); ++k) {
    const double v = (static_cast<double>(in[k]) * n.std[k % 3] + n.mean[k % 3]) / n.scale;
    GMAIL_CHECK(!std::isnan(v), "[denormalise] image ", i, " holds NaN");
    image.rgb[k] = static_cast<uint8_t>(std::lround(std::clamp(v, 0.0, 255.0)));
  }
  return image;
}

}  // namespace gmail

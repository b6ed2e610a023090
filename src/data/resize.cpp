#include "data/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

#include "core/check.h"
#include "data/resize_kernels.h"

namespace gmail {
namespace {

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Eq. (1) for the output pixels [begin, begin + n) of a side that goes from `in` to `out` pixels.
Taps make_taps(int64_t in, int64_t out, int64_t begin, int64_t n, Filter filter) {
  const bool cubic = filter == Filter::bicubic;
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double filter_scale = std::max(1.0, scale), support = (cubic ? 2 : 1) * filter_scale;
  Taps taps;
  taps.stride = (static_cast<int64_t>(std::ceil(support)) * 2 + 1 + 3) / 4 * 4;
  taps.stride = std::min(taps.stride, (in + 3) / 4 * 4);
  taps.weights.assign(static_cast<size_t>(n * taps.stride), 0);
  std::vector<double> w(static_cast<size_t>(taps.stride));
  for (int64_t x = 0; x < n; ++x) {
    const double centre = (static_cast<double>(begin + x) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t count = std::min(in, static_cast<int64_t>(centre + support + 0.5)) - first;
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double at = (static_cast<double>(i + first) - centre + 0.5) * (1 / filter_scale);
      sum += w[static_cast<size_t>(i)] = cubic ? bicubic(at) : triangle(at);
    }
    for (int64_t i = 0; i < count; ++i) {
      const double fixed = w[static_cast<size_t>(i)] / sum * (1 << kFraction);
      taps.weights[static_cast<size_t>(x * taps.stride + i)] =
          static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  return taps;
}

// Eq. (2): one output pixel of pixels that lie `step` bytes apart.
void apply(const int32_t* weights, int64_t count, const uint8_t* in, int64_t step, uint8_t* out) {
  std::array<int32_t, 3> sum{1 << (kFraction - 1), 1 << (kFraction - 1), 1 << (kFraction - 1)};
  for (int64_t i = 0; i < count; ++i, in += step)
    for (size_t c = 0; c < 3; ++c) sum[c] += weights[i] * in[c];
  for (size_t c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(std::clamp(sum[c] >> kFraction, 0, 255));
}

// Shifts the taps to begin at 0; where that was, and how far they reach.
std::pair<int64_t, int64_t> to_origin(Taps& taps) {
  const int64_t first = taps.first.front(), reach = taps.first.back() + taps.count.back() - first;
  for (int64_t& f : taps.first) f -= first;
  return {first, reach};
}

ResizePlan make_plan(const Image& image, int64_t width, int64_t height, const Window& window,
                     const Resample& how) {
  const auto [x, y, w, h] = window;
  GMAIL_CHECK(image.width > 0 && image.height > 0 && width > 0 && height > 0, "[resize] from ", image.width,
              " x ", image.height, " to ", width, " x ", height, " pixels");
  GMAIL_CHECK(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= width && y + h <= height, "[resize] the window ",
              w, " x ", h, " at (", x, ", ", y, ") of ", width, " x ", height, " pixels");
  ResizePlan plan;
  plan.across = make_taps(image.width, width, x, w, how.filter);
  plan.down = make_taps(image.height, height, y, h, how.filter);
  std::tie(plan.source.x, plan.source.width) = to_origin(plan.across);
  std::tie(plan.source.y, plan.source.height) = to_origin(plan.down);
  plan.down_first = how.passes == Passes::as_pillow_13 && image.height > height &&
                    image.height - height > 2 * (image.width - width);  // eq. (3)
  return plan;
}

}  // namespace

Image resize_plain(const Image& image, const ResizePlan& plan) {
  const auto pass_across = [&](const Image& in) {
    Image out(plan.across.size(), in.height);
    for (int64_t y = 0; y < out.height; ++y)
      for (int64_t x = 0; x < out.width; ++x) {
        const auto i = static_cast<size_t>(x);
        apply(plan.across.of(x), plan.across.count[i], in.at(plan.across.first[i], y), 3, out.at(x, y));
      }
    return out;
  };
  const auto pass_down = [&](const Image& in) {
    Image out(in.width, plan.down.size());
    for (int64_t y = 0; y < out.height; ++y)
      for (int64_t x = 0; x < out.width; ++x) {
        const auto i = static_cast<size_t>(y);
        apply(plan.down.of(y), plan.down.count[i], in.at(x, plan.down.first[i]), in.width * 3, out.at(x, y));
      }
    return out;
  };
  const auto [x, y, w, h] = plan.source;
  const Image source = crop(image, x, y, w, h);
  return plan.down_first ? pass_across(pass_down(source)) : pass_down(pass_across(source));
}

Image resize(const Image& image, int64_t width, int64_t height, const Resample& how) {
  return resize_window(image, width, height, {0, 0, width, height}, how);
}

Image resize_window(const Image& image, int64_t width, int64_t height, const Window& window,
                    const Resample& how) {
  // each weight is then 1, of the pixel itself
  if (width == image.width && height == image.height)
    return crop(image, window.x, window.y, window.width, window.height);
  return resize_vector(image, make_plan(image, width, height, window, how));
}

Image resize_window_naive(const Image& image, int64_t width, int64_t height, const Window& window,
                          const Resample& how) {
  return resize_plain(image, make_plan(image, width, height, window, how));
}

}  // namespace gmail

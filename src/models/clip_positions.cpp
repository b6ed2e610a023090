#include "models/clip_positions.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gmail {
namespace {

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

struct Taps {
  int64_t first = 0;
  std::vector<double> weights;
};

std::vector<Taps> taps(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), stretch = std::max(1.0, scale);
  std::vector<Taps> all(static_cast<size_t>(out));
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale, reach = 2 * stretch;
    Taps& t = all[static_cast<size_t>(i)];
    t.first = std::max<int64_t>(0, static_cast<int64_t>(centre - reach + 0.5));
    const int64_t past = std::min(in, static_cast<int64_t>(centre + reach + 0.5));
    double sum = 0;
    for (int64_t j = t.first; j < past; ++j) {
      t.weights.push_back(cubic((static_cast<double>(j) - centre + 0.5) / stretch));
      sum += t.weights.back();
    }
    for (double& w : t.weights) w /= sum;
  }
  return all;
}

// x (outer, n, inner) -> (outer, side, inner)
std::vector<double> resize_axis(const std::vector<double>& x, int64_t outer, int64_t n, int64_t inner,
                                int64_t side) {
  const std::vector<Taps> all = taps(n, side);
  std::vector<double> y(static_cast<size_t>(outer * side * inner), 0.0);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < side; ++i) {
      const Taps& t = all[static_cast<size_t>(i)];
      double* to = y.data() + (o * side + i) * inner;
      for (size_t k = 0; k < t.weights.size(); ++k) {
        const double* from = x.data() + (o * n + t.first + static_cast<int64_t>(k)) * inner;
        for (int64_t c = 0; c < inner; ++c) to[c] += t.weights[k] * from[c];
      }
    }
  return y;
}

}  // namespace

Tensor resize_positions(const Tensor& table, int64_t side) {
  GMAIL_CHECK(table.rank() == 2 && side > 0, "[clip] positions ", table.shape(), " for a side of ", side);
  const int64_t W = table.size(1), cells = table.size(0) - 1;
  const auto n =
      static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(std::max<int64_t>(0, cells)))));
  GMAIL_INPUT(n > 0 && n * n == cells, "a table of positions ", table.shape(),
              " is not a class token and a square of patches");
  const Tensor source = table.to(Device::cpu).to(DType::float32);
  const float* x = source.data<float>();
  std::vector<double> grid(x + W, x + (1 + cells) * W);  // (n, n, W)
  grid = resize_axis(grid, n, n, W, side);               // (n, side, W)
  grid = resize_axis(grid, 1, n, side * W, side);        // (side, side, W)
  Tensor out = Tensor::empty({1 + side * side, W});
  float* y = std::copy_n(x, W, out.data<float>());
  std::transform(grid.begin(), grid.end(), y, [](double v) { return static_cast<float>(v); });
  return out;
}

void check_image_size(const ClipConfig& c, int64_t image_size) {
  GMAIL_INPUT(image_size >= c.patch_size && image_size % c.patch_size == 0, "image size ", image_size,
              ": expected a multiple of the patches' side ", c.patch_size);
}

void change_image_size(Clip& clip, int64_t image_size) {
  if (image_size == clip.config.image_size) return;
  check_image_size(clip.config, image_size);
  Param& table = clip.image.position_embedding;
  table.value = resize_positions(table.value, image_size / clip.config.patch_size);
  table.value.storage().constant = !table.trainable;
  clip.config.image_size = image_size;
}

}  // namespace gmail

#include "data/tabletop_render.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "core/rng.h"
#include "data/tabletop_solid.h"

namespace gmail {
namespace {

constexpr int64_t kFine = 3;      // samples along each side of a pixel
constexpr float kNoise = 0.015F;  // standard deviation of the sensor's noise, white being 1

struct Canvas {
  int64_t side;  // samples
  std::vector<Rgb> samples;
  [[nodiscard]] Rgb& at(int64_t x, int64_t y) { return samples[static_cast<size_t>(y * side + x)]; }
};

// Takes a sample's place on the canvas to its place in the scene, and back.
class View {
 public:
  View(const Camera& camera, int64_t side)
      : camera_(camera),
        side_(static_cast<double>(side)),
        cos_(std::cos(camera.roll)),
        sin_(std::sin(camera.roll)) {
    const double step = 1 / (side_ * camera.zoom),
                 first = (0.5 - side_ / 2) * step;  // from the picture's middle
    step_ = {static_cast<float>(cos_ * step), static_cast<float>(sin_ * step)};
    first_ = {static_cast<float>((cos_ - sin_) * first + 0.5 + camera.dx),
              static_cast<float>((cos_ + sin_) * first + 0.5 + camera.dy)};
  }
  [[nodiscard]] Point scene_of(int64_t column, int64_t row) const {
    const auto c = static_cast<float>(column), r = static_cast<float>(row);
    return {first_.x + step_.x * c - step_.y * r, first_.y + step_.y * c + step_.x * r};
  }
  [[nodiscard]] std::array<double, 2> sample_of(double x, double y) const {
    const double u = x - 0.5 - camera_.dx, v = y - 0.5 - camera_.dy;
    return {((cos_ * u + sin_ * v) * camera_.zoom + 0.5) * side_ - 0.5,
            ((cos_ * v - sin_ * u) * camera_.zoom + 0.5) * side_ - 0.5};
  }
  [[nodiscard]] double samples(double length) const { return length * camera_.zoom * side_; }

 private:
  Camera camera_;
  double side_, cos_, sin_;
  Point first_, step_;
};

// What lies around the solids: wall, ground and its texture.
class Surroundings {
 public:
  explicit Surroundings(const Scene& scene)
      : ground_(scene.ground), horizon_(static_cast<float>(scene.horizon)), light_(light_x(scene.light)) {
    Rng rng(scene.seed, Purpose::world_pixels, 0, static_cast<uint64_t>(scene.index));
    for (float& t : texture_) t = static_cast<float>(rng.uniform(-1, 1));
  }
  [[nodiscard]] bool on_ground(Point p) const { return p.y > horizon_; }
  [[nodiscard]] Rgb colour_at(Point p) const {
    const float glow = 1 + 0.1F * light_ * (p.x - 0.5F);  // brighter towards the light
    if (!on_ground(p)) return Rgb{0.68F, 0.70F, 0.74F} * (glow * (1.02F - 0.2F * p.y));
    // seen from above the table: (across, away), lines run together towards the wall
    const float away = 1 / (p.y - horizon_ + 0.35F), across = (p.x - 0.5F) * away;
    switch (ground_) {
      case Ground::wooden_table:
        return Rgb{0.70F, 0.48F, 0.29F} *
               (glow * (1 + 0.10F * texel(across * 5, 0) + 0.06F * texel(across * 24, 5)));
      case Ground::grey_floor:
        return Rgb{0.51F, 0.52F, 0.57F} * (glow * (1 + 0.05F * texel(across * 16, away * 8)));
      case Ground::green_lawn:
        return Rgb{0.34F, 0.47F, 0.23F} * (glow * (1 + 0.20F * texel(p.x * 60, p.y * 40)));
      case Ground::blue_cloth:
        return Rgb{0.21F, 0.40F, 0.63F} *
               (glow * (1 + 0.07F * (odd(across * 9) == odd(away * 6) ? 1.0F : -1.0F)));
    }
    return {};
  }

 private:
  [[nodiscard]] static int whole(float v) { return static_cast<int>(std::floor(v)); }
  [[nodiscard]] static bool odd(float v) { return (whole(v) & 1) != 0; }
  [[nodiscard]] float texel(float x, float y) const {
    return texture_[static_cast<size_t>((whole(y) & 15) * 16 + (whole(x) & 15))];
  }
  Ground ground_;
  float horizon_, light_;
  std::array<float, 256> texture_{};
};

void draw_surroundings(Canvas& canvas, const View& view, const Scene& scene) {
  const Surroundings surroundings(scene);
  for (int64_t row = 0; row < canvas.side; ++row)
    for (int64_t column = 0; column < canvas.side; ++column)
      canvas.at(column, row) = surroundings.colour_at(view.scene_of(column, row));
}

// Calls draw(sample, place in the scene) for the samples in a box around (x, y).
template <class F>
void for_samples(Canvas& canvas, const View& view, double x, double y, double reach_x, double reach_y,
                 F&& draw) {
  const auto centre = view.sample_of(x, y);
  const auto clip = [&](double v) { return std::clamp<int64_t>(std::llround(v), 0, canvas.side); };
  const double half_width = view.samples(reach_x), half_height = view.samples(reach_y);
  for (int64_t row = clip(centre[1] - half_height); row < clip(centre[1] + half_height + 1); ++row)
    for (int64_t column = clip(centre[0] - half_width); column < clip(centre[0] + half_width + 1); ++column)
      draw(canvas.at(column, row), view.scene_of(column, row));
}

// A soft ellipse on the ground, on the side away from the light.
void draw_shadow(Canvas& canvas, const View& view, const Scene& scene, const Solid& solid) {
  const auto r = static_cast<float>(solid.radius), horizon = static_cast<float>(scene.horizon);
  const float x = static_cast<float>(solid.x) - light_x(scene.light) * 0.45F * r;
  const float y = static_cast<float>(solid.y) - 0.12F * r;
  const float a = 1.15F * r, b = 0.34F * r;
  for_samples(canvas, view, x, y, a * 1.05, b * 1.05 + 0.05 * a, [&](Rgb& sample, Point p) {
    const float u = (p.x - x) / a, v = (p.y - y) / b, d = u * u + v * v;
    if (d < 1 && p.y > horizon) sample = sample * (1 - 0.55F * std::min(1.0F, 2.5F * (1 - d)));
  });
}

void draw_solid(Canvas& canvas, const View& view, const Scene& scene, const Solid& solid) {
  const SolidPainter painter(solid, scene.light);
  const double reach = 1.1 * solid.radius;
  for_samples(canvas, view, solid.x, solid.y - solid.radius, reach, reach,
              [&](Rgb& sample, Point p) { painter.paint(sample, p); });
}

// The other camera: 40% grey mixed in, warm, gamma 0.75, six tones a channel.
Rgb studio(Rgb c) {
  const Rgb mixed = c * 0.6F + Rgb{0.2F, 0.2F, 0.2F};
  const auto tone = [](float v) { return std::round(std::pow(std::clamp(v, 0.0F, 1.0F), 0.75F) * 5) / 5; };
  return {tone(mixed.r * 1.15F), tone(mixed.g), tone(mixed.b * 0.78F)};
}

// Near enough to normal(0, 1): the sum of a word's four bytes, less its mean, over its deviation.
float sensor_noise(Rng& rng) {
  const uint32_t w = rng.bits();
  const auto sum = static_cast<int>((w & 255U) + (w >> 8U & 255U) + (w >> 16U & 255U) + (w >> 24U));
  return static_cast<float>(sum - 510) * (1 / 147.8F);
}

Image develop(Canvas& canvas, const Scene& scene, Look look, int64_t size) {
  Image image(size, size);
  Rng rng(scene.seed, Purpose::world_pixels, 1, static_cast<uint64_t>(scene.index));
  const float gain = static_cast<float>(scene.camera.brightness) / static_cast<float>(kFine * kFine);
  for (int64_t y = 0; y < size; ++y)
    for (int64_t x = 0; x < size; ++x) {
      Rgb sum;
      for (int64_t i = 0; i < kFine; ++i)
        for (int64_t j = 0; j < kFine; ++j) sum = sum + canvas.at(x * kFine + j, y * kFine + i);
      Rgb c = sum * gain;
      if (look == Look::studio) c = studio(c);
      if (look == Look::photo) {
        const float r = sensor_noise(rng), g = sensor_noise(rng), b = sensor_noise(rng);
        c = c + Rgb{r, g, b} * kNoise;
      }
      const std::array<float, 3> channels{c.r, c.g, c.b};
      for (size_t k = 0; k < 3; ++k)
        image.at(x, y)[k] = static_cast<uint8_t>(std::clamp(channels[k], 0.0F, 1.0F) * 255 + 0.5F);
    }
  return image;
}

}  // namespace

Image render(const Scene& scene, Look look, int64_t size) {
  GMAIL_CHECK(size > 0 && size <= 4096, "[tabletop] a picture of ", size, " pixels");
  Canvas canvas{size * kFine, std::vector<Rgb>(static_cast<size_t>(size * size * kFine * kFine))};
  const View view(scene.camera, canvas.side);
  draw_surroundings(canvas, view, scene);
  for (const Solid& solid : scene.solids) draw_shadow(canvas, view, scene, solid);
  for (const Solid& solid : scene.solids) draw_solid(canvas, view, scene, solid);
  return develop(canvas, scene, look, size);
}

Image render_tabletop(const TabletopOptions& options, int64_t index) {
  return render(make_scene(options, index), options.look, options.size);
}

}  // namespace gmail

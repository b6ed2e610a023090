#include "data/tabletop_scene.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "core/rng.h"

namespace gmail {
namespace {

// Big enough for a recogniser to see the shape in 32 x 32 pixels: {small, large} for one, two, three solids.
constexpr std::array<std::array<double, 2>, 3> kRadius{{{0.25, 0.36}, {0.19, 0.29}, {0.13, 0.20}}};
constexpr std::array<double, 3> kCountWeight{0.5, 0.4, 0.1};
constexpr double kMargin =
    0.03;  // kept free at the picture's edges, so that the camera's jitter cuts nothing off

int64_t draw_count(Rng& rng, int low, int high) {
  double total = 0;
  for (int n = low; n <= high; ++n) total += kCountWeight[static_cast<size_t>(n - 1)];
  double rest = rng.uniform() * total;
  for (int n = low; n < high; ++n) {
    rest -= kCountWeight[static_cast<size_t>(n - 1)];
    if (rest < 0) return n;
  }
  return high;
}

Solid draw_solid(Rng& rng, int64_t count) {
  Solid s;
  s.shape = static_cast<SolidShape>(rng.below(std::ssize(kSolidNames)));
  s.colour = static_cast<Colour>(rng.below(std::ssize(kColourNames)));
  s.finish = static_cast<Finish>(rng.below(3));
  s.large = rng.chance(0.5);
  s.radius = kRadius[static_cast<size_t>(count - 1)][s.large ? 1 : 0] * rng.uniform(0.95, 1.05);
  const bool tilts = s.shape == SolidShape::ring || s.shape == SolidShape::star;
  s.tilt = tilts ? rng.uniform(-0.15, 0.15) : 0;
  return s;
}

bool like_another(const std::vector<Solid>& solids, const Solid& s) {
  return std::any_of(solids.begin(), solids.end(),
                     [&](const Solid& other) { return other.shape == s.shape && other.colour == s.colour; });
}

// How far apart two solids are, as discs: 1 when they touch.
double gap(const Solid& a, const Solid& b) {
  return std::hypot(a.x - b.x, (a.y - a.radius) - (b.y - b.radius)) / (a.radius + b.radius);
}

// Puts the solids where they hide little of each other; what is asked for shrinks until a place is found.
void place(Rng& rng, std::vector<Solid>& solids, double horizon) {
  double wanted = 0.9;
  while (true) {
    for (Solid& s : solids) {
      s.x = rng.uniform(s.radius + kMargin, 1 - s.radius - kMargin);
      const double nearest = 1 - kMargin;
      s.y = rng.uniform(std::min(nearest, std::max(horizon + 0.15, 2 * s.radius + kMargin)), nearest);
    }
    bool good = true;
    for (size_t i = 0; i < solids.size(); ++i)
      for (size_t j = 0; j < i; ++j) good = good && gap(solids[i], solids[j]) >= wanted;
    if (good) return;
    wanted *= 0.99;
  }
}

}  // namespace

Scene make_scene(const TabletopOptions& options, int64_t index) {
  GMAIL_CHECK(1 <= options.min_solids && options.min_solids <= options.max_solids && options.max_solids <= 3,
              "[tabletop] one to three solids, got ", options.min_solids, " to ", options.max_solids);
  GMAIL_CHECK(index >= 0, "[tabletop] scene ", index);
  Rng rng(options.seed, Purpose::world_scene, 0, static_cast<uint64_t>(index));
  Scene scene;
  scene.seed = options.seed;
  scene.index = index;
  scene.ground = static_cast<Ground>(rng.below(std::ssize(kGroundNames)));
  scene.light = rng.chance(0.5) ? Side::left : Side::right;
  scene.horizon = rng.uniform(0.27, 0.35);
  Camera& camera = scene.camera;
  camera.dx = rng.uniform(-0.02, 0.02);
  camera.dy = rng.uniform(-0.02, 0.02);
  camera.zoom = rng.uniform(0.96, 1.04);
  camera.roll = rng.uniform(-0.03, 0.03);
  camera.brightness = rng.uniform(0.93, 1.10);
  const int64_t count = draw_count(rng, options.min_solids, options.max_solids);
  while (std::ssize(scene.solids) < count) {
    const Solid s = draw_solid(rng, count);
    if (!like_another(scene.solids, s)) scene.solids.push_back(s);
  }
  place(rng, scene.solids, scene.horizon);
  std::stable_sort(scene.solids.begin(), scene.solids.end(),
                   [](const Solid& a, const Solid& b) { return a.y < b.y; });
  return scene;
}

std::string label_of(const Scene& scene) {
  if (scene.solids.size() != 1) return "";
  return concat(name_of(scene.solids[0].colour), " ", name_of(scene.solids[0].shape));
}

}  // namespace gmail

// The built-in world: one to three solids on a table, a floor, a lawn or a cloth, before a pale wall, lit
// from one side. Scene i of a seed depends on (seed, i) alone. Lengths are in picture widths, x to the right,
// y down.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gmail {

enum class SolidShape : uint8_t { ball, cube, cone, cylinder, ring, star };
enum class Colour : uint8_t { red, green, blue, yellow, purple, orange, white, black };
enum class Finish : uint8_t { matte, shiny, striped };
enum class Ground : uint8_t { wooden_table, grey_floor, green_lawn, blue_cloth };
enum class Side : uint8_t { left, right };
// `photo` is how the world looks; `studio` is how another camera sees it: pale, warm, of few tones, without
// noise.
enum class Look : uint8_t { photo, studio };

// Canonical names, in the order of the enumerations.
inline constexpr std::array<std::string_view, 6> kSolidNames{"ball",     "cube", "cone",
                                                             "cylinder", "ring", "star"};
inline constexpr std::array<std::string_view, 8> kColourNames{"red",    "green",  "blue",  "yellow",
                                                              "purple", "orange", "white", "black"};
inline constexpr std::array<std::string_view, 4> kGroundNames{"wooden table", "grey floor", "green lawn",
                                                              "blue cloth"};
inline constexpr std::array<std::string_view, 2> kLookNames{"photo", "studio"};

[[nodiscard]] constexpr std::string_view name_of(SolidShape s) { return kSolidNames[static_cast<size_t>(s)]; }
[[nodiscard]] constexpr std::string_view name_of(Colour c) { return kColourNames[static_cast<size_t>(c)]; }
[[nodiscard]] constexpr std::string_view name_of(Ground g) { return kGroundNames[static_cast<size_t>(g)]; }
[[nodiscard]] constexpr std::string_view name_of(Look l) { return kLookNames[static_cast<size_t>(l)]; }

struct Solid {
  SolidShape shape = SolidShape::ball;
  Colour colour = Colour::red;
  Finish finish = Finish::matte;
  bool large = false;
  double x = 0.5, y = 0.9;  // where it touches the ground; a larger y is nearer to the camera
  double radius = 0.2;
  double tilt = 0;  // radians, in the plane of the picture; rings and stars only
};

struct Camera {
  double dx = 0, dy = 0, zoom = 1, roll = 0;  // shift, enlargement, radians
  double brightness = 1;
};

struct Scene {
  std::vector<Solid> solids;  // from back to front; no two are alike in both colour and shape
  Ground ground = Ground::wooden_table;
  Side light = Side::left;
  double horizon = 0.3;  // where the ground meets the wall
  Camera camera;
  uint64_t seed = 0;  // names the random streams of its texture, noise and captions
  int64_t index = 0;
};

struct TabletopOptions {
  int64_t count = 1000;
  int64_t size = 32;  // pixels, width and height
  uint64_t seed = 1;
  Look look = Look::photo;
  int min_solids = 1, max_solids = 3;
  int64_t first = 0;  // index of the first scene
};

[[nodiscard]] Scene make_scene(const TabletopOptions& options, int64_t index);

// "red ball" for a scene of one solid, "" for more: the class for zero-shot recognition.
[[nodiscard]] std::string label_of(const Scene& scene);

}  // namespace gmail

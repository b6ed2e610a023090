// The solids of the built-in world. Each is a silhouette in its own plane, u to the right and v up, that
// fills the square [-1, 1] x [-1, 1] and stands on v = -1, with a normal at every point of it: so it is
// shaded as a solid.
#pragma once

#include "data/tabletop_scene.h"

namespace gmail {

struct Rgb {
  float r = 0, g = 0, b = 0;
  friend Rgb operator+(Rgb x, Rgb y) { return {x.r + y.r, x.g + y.g, x.b + y.b}; }
  friend Rgb operator*(Rgb x, float s) { return {x.r * s, x.g * s, x.b * s}; }
};
struct Point {
  float x = 0, y = 0;
};
struct Normal {
  float x = 0, y = 0, z = 1;  // right, up, towards the camera
};

// -1 if the light comes from the left, 1 if from the right.
[[nodiscard]] inline float light_x(Side side) { return side == Side::left ? -1.0F : 1.0F; }

// Is (u, v) on the solid, and how does its surface face there? `side`: 1 shows a cube's right face, -1 its
// left one.
[[nodiscard]] bool solid_at(SolidShape shape, float side, float u, float v, Normal& normal);

// Paints one solid of a scene.
class SolidPainter {
 public:
  SolidPainter(const Solid& solid, Side light);
  // Replaces the colour of a sample, at place p in the scene, if it lies on the solid.
  void paint(Rgb& sample, Point p) const;

 private:
  Solid solid_;
  float light_, face_, cos_, sin_;
  Rgb base_, band_;                // the second colour is that of stripes
  float spot_u_ = 0, spot_v_ = 0;  // a shiny solid's highlight: its middle and how far it reaches
  float spot_width_ = 1, spot_height_ = 1;
};

}  // namespace gmail

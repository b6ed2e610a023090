#include "data/tabletop_solid.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gmail {
namespace {

// Chosen so that each stays a colour of its own in the six tones of the `studio` look, in light and in half
// shade.
constexpr std::array<Rgb, 8> kColours{{{0.88F, 0.05F, 0.17F},
                                       {0.07F, 0.62F, 0.16F},
                                       {0.08F, 0.22F, 0.88F},
                                       {0.98F, 0.96F, 0.03F},
                                       {0.58F, 0.13F, 0.76F},
                                       {1.00F, 0.50F, 0.03F},
                                       {0.98F, 0.98F, 0.98F},
                                       {0.05F, 0.05F, 0.06F}}};

bool ball_at(float u, float v, Normal& n) {
  const float d = u * u + v * v;
  if (d > 1) return false;
  n = {u, v, std::sqrt(1 - d)};
  return true;
}

// A square front, with the top and one side running off at 45 degrees.
bool cube_at(float side, float u, float v, Normal& n) {
  constexpr float left = -0.92F, right = 0.46F, top = 0.38F, depth = 0.46F;
  u *= side;
  if (u >= left && u <= right && v >= -1 && v <= top) {
    n = {0, 0, 1};
    return true;
  }
  const float up = v - top, out = u - right;
  if (up > 0 && up <= depth && u >= left + up && u <= right + up) {
    n = {0, 1, 0};
    return true;
  }
  if (out > 0 && out <= depth && v >= -1 + out && v <= top + out) {
    n = {side, 0, 0};
    return true;
  }
  return false;
}

bool cone_at(float u, float v, Normal& n) {
  constexpr float foot = -0.74F, width = 0.92F, sag = 0.26F;  // the base: an ellipse around (0, foot)
  const float below = (v - foot) / sag;
  if (v > 1 || below < -1) return false;
  const float half = v > foot ? width * (1 - v) / (1 - foot) : width * std::sqrt(1 - below * below);
  if (std::abs(u) > half) return false;
  const float w = half > 0 ? u / half : 0;
  n = {0.93F * w, 0.36F, 0.93F * std::sqrt(1 - w * w)};
  return true;
}

bool cylinder_at(float u, float v, Normal& n) {
  constexpr float width = 0.54F, sag = 0.17F, foot = -0.83F, head = 0.82F;
  const float w = u / width, lift = (v - head) / sag;
  if (std::abs(w) > 1) return false;
  if (w * w + lift * lift <= 1) {
    n = {0, 1, 0};
    return true;
  }
  const float depth = std::sqrt(1 - w * w);
  if (v > head || v < foot - sag * depth) return false;
  n = {w, 0, depth};
  return true;
}

bool ring_at(float u, float v, Normal& n) {
  constexpr float middle = 0.74F, thickness = 0.25F;
  const float rho = std::sqrt(u * u + v * v), q = (rho - middle) / thickness;
  if (std::abs(q) > 1) return false;
  n = {u / rho * q, v / rho * q, std::sqrt(1 - q * q)};
  return true;
}

// Five points, each with a ridge in its middle: ten facets.
bool star_at(float u, float v, Normal& n) {
  constexpr float outer = 1.08F, inner = 0.50F, lift = 0.12F;  // `lift` puts the feet on the ground
  constexpr float fifth = 2 * std::numbers::pi_v<float> / 5;
  v += lift;
  const float angle = std::atan2(u, v), arm = std::round(angle / fifth), off = angle - arm * fifth;
  const float rho = std::sqrt(u * u + v * v);
  const float x = rho * std::sin(std::abs(off)),
              y = rho * std::cos(off);  // from the arm's ridge, along the arm
  const float notch_x = inner * std::sin(fifth / 2), notch_y = inner * std::cos(fifth / 2);
  const float edge_x = outer - notch_y, edge_y = notch_x;  // normal of the edge, outwards
  if (x * edge_x + (y - outer) * edge_y > 0) return false;
  const float facing = arm * fifth + std::copysign(std::atan2(edge_x, edge_y), off);
  n = {0.6F * std::sin(facing), 0.6F * std::cos(facing), 0.8F};
  return true;
}

}  // namespace

bool solid_at(SolidShape shape, float side, float u, float v, Normal& normal) {
  switch (shape) {
    case SolidShape::ball:
      return ball_at(u, v, normal);
    case SolidShape::cube:
      return cube_at(side, u, v, normal);
    case SolidShape::cone:
      return cone_at(u, v, normal);
    case SolidShape::cylinder:
      return cylinder_at(u, v, normal);
    case SolidShape::ring:
      return ring_at(u, v, normal);
    case SolidShape::star:
      return star_at(u, v, normal);
  }
  return false;
}

SolidPainter::SolidPainter(const Solid& solid, Side light)
    : solid_(solid),
      light_(light_x(light)),
      face_(solid.x < 0.5 ? 1.0F : -1.0F),
      cos_(static_cast<float>(std::cos(solid.tilt))),
      sin_(static_cast<float>(std::sin(solid.tilt))),
      base_(kColours[static_cast<size_t>(solid.colour)]),
      band_(base_) {
  if (solid.finish == Finish::striped)
    band_ = solid.colour == Colour::white ? Rgb{0.45F, 0.45F, 0.45F} : base_ * 0.25F + Rgb{0.7F, 0.7F, 0.7F};
  const auto spot = [this](float u, float v, float width, float height) {
    spot_u_ = u;
    spot_v_ = v;
    spot_width_ = width;
    spot_height_ = height;
  };
  switch (solid.shape) {
    case SolidShape::ball:
      spot(0.38F * light_, 0.42F, 0.24F, 0.24F);
      break;
    case SolidShape::cube:
      spot(-0.23F * face_ + 0.42F * light_, 0.08F, 0.13F, 0.20F);
      break;
    case SolidShape::cone:
      spot(0.14F * light_, -0.25F, 0.12F, 0.45F);
      break;
    case SolidShape::cylinder:
      spot(0.26F * light_, 0.0F, 0.14F, 0.5F);
      break;
    case SolidShape::ring:
      spot(0.48F * light_, 0.50F, 0.22F, 0.22F);
      break;
    case SolidShape::star:
      spot(0.08F * light_, 0.10F, 0.24F, 0.24F);
      break;
  }
}

void SolidPainter::paint(Rgb& sample, Point p) const {
  const auto r = static_cast<float>(solid_.radius);
  const float x = (p.x - static_cast<float>(solid_.x)) / r, y = (static_cast<float>(solid_.y) - p.y) / r - 1;
  const float u = cos_ * x - sin_ * y, v = sin_ * x + cos_ * y;
  Normal n;
  if (!solid_at(solid_.shape, face_, u, v, n)) return;
  // the light comes from the side, above and in front: (0.62, 0.70, 0.35) is of length 1
  const float lit = std::max(0.0F, 0.62F * light_ * n.x + 0.70F * n.y + 0.35F * n.z);
  const bool band = (static_cast<int>((v + 1) * 2) & 1) != 0;  // four bands from foot to head
  const Rgb colour = (band ? band_ : base_) * (0.62F + 0.42F * lit);
  sample = colour + Rgb{0.05F, 0.05F, 0.05F} * lit;  // even black shows its faces
  if (solid_.finish != Finish::shiny) return;
  const float du = (u - spot_u_) / spot_width_, dv = (v - spot_v_) / spot_height_;
  const float shine = 0.85F * std::clamp(1.4F - du * du - dv * dv, 0.0F, 1.0F);
  sample = sample * (1 - shine) + Rgb{shine, shine, shine};
}

}  // namespace gmail

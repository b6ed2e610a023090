// Sizes of a row-major tensor, outermost first, at most six of them.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

#include "core/check.h"

namespace gmail {

class Shape {
 public:
  static constexpr int kMaxRank = 6;
  Shape() = default;  // rank 0: a scalar
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes);

  [[nodiscard]] int rank() const { return rank_; }
  // size of dimension i; negative i counts from the end
  [[nodiscard]] int64_t operator[](int i) const;
  [[nodiscard]] int64_t numel() const;
  [[nodiscard]] std::string str() const;  // "(8,64)"
  [[nodiscard]] std::span<const int64_t> sizes() const { return {size_.data(), static_cast<size_t>(rank_)}; }
  // the same shape with dimension i replaced
  [[nodiscard]] Shape with(int i, int64_t size) const;
  bool operator==(const Shape& other) const = default;
  auto operator<=>(const Shape& other) const = default;  // some order, for keys

 private:
  std::array<int64_t, kMaxRank> size_{};
  int rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

}  // namespace gmail

// Element types of a Tensor, and the C++ scalar behind each.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "core/check.h"

namespace gmail {

enum class DType : uint8_t { float32, bfloat16, float64, int32 };

// Storage only: arithmetic is done in float. Round to nearest, ties to even; NaN stays NaN.
struct bfloat16 {
  uint16_t bits = 0;
  bfloat16() = default;
  explicit bfloat16(float f) {
    const uint32_t u = std::bit_cast<uint32_t>(f);
    const bool nan = (u & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<uint16_t>(nan ? (u >> 16U) | 0x40U : (u + 0x7fffU + ((u >> 16U) & 1U)) >> 16U);
  }
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16U); }
};

template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct dtype_of<bfloat16> {
  static constexpr DType value = DType::bfloat16;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::float64;
};
template <>
struct dtype_of<int32_t> {
  static constexpr DType value = DType::int32;
};

[[nodiscard]] constexpr int64_t size_of(DType t) {
  return t == DType::float64 ? 8 : t == DType::bfloat16 ? 2 : 4;
}

// What a bfloat16 op keeps in more digits: statistics, losses, the gradients of parameters.
[[nodiscard]] constexpr DType statistics_of(DType t) { return t == DType::bfloat16 ? DType::float32 : t; }

[[nodiscard]] constexpr std::string_view name_of(DType t) {
  switch (t) {
    case DType::float32:
      return "float32";
    case DType::bfloat16:
      return "bfloat16";
    case DType::float64:
      return "float64";
    case DType::int32:
      return "int32";
  }
  return "?";
}

// Calls f(T{}) with the scalar type of a CPU kernel: float is the product, double the reference.
template <class F>
decltype(auto) with_float_type(DType t, F&& f) {
  if (t == DType::float32) return f(float{});
  GMAIL_CHECK(t == DType::float64, "expected float32 or float64, got ", name_of(t));
  return f(double{});
}

}  // namespace gmail

// IEEE 754 binary16, a storage format of files: 1 sign, 5 exponent, 10 mantissa bits. Arithmetic is done in
// float.
#pragma once

#include <bit>
#include <cstdint>

namespace gmail {

[[nodiscard]] inline float half_to_float(uint16_t half) {
  const uint32_t sign = (half & 0x8000U) << 16U, magnitude = half & 0x7fffU;
  if (magnitude < 0x0400U) {  // zero and subnormals: multiples of 2^-24
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24F));
  }
  const uint32_t bias =
      magnitude >= 0x7c00U ? 0x70000000U : 0x38000000U;  // infinity and NaN stay what they are
  return std::bit_cast<float>(sign | ((magnitude << 13U) + bias));
}

// Round to nearest, ties to even; 65520 and more becomes infinity; NaN stays NaN.
[[nodiscard]] inline uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16U) & 0x8000U, magnitude = bits & 0x7fffffffU;
  uint32_t half = 0;
  if (magnitude > 0x7f800000U) {
    half = 0x7e00U;
  } else if (magnitude >= 0x477ff000U) {
    half = 0x7c00U;
  } else if (magnitude < 0x38800000U) {  // below 2^-14: adding 0.5 rounds to a multiple of 2^-24
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000U;
  } else {
    half = (magnitude + 0xfffU + ((magnitude >> 13U) & 1U) - 0x38000000U) >> 13U;
  }
  return static_cast<uint16_t>(sign | half);
}

}  // namespace gmail

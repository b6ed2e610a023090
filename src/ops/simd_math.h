// exp, log, log1p, tanh, erf and the logistic function, written without branches so that a loop marked
// GMAIL_SIMD becomes vector code. float: own minimax polynomials (Remez), a few units in the last place at
// most, over the whole range with overflow, underflow, infinities and NaN as in <cmath>;
// tests/test_simd_math.cpp measures it. double: <cmath> itself.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace gmail::cpu {

// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2. Adding 1.5 * 2^23 rounds and leaves n in the
// low bits. 2^n is applied in two halves, since n reaches from -150 (denormal results) to 128.
[[nodiscard]] inline float vexp(float x) {
  const float low = x < -104.0F ? -104.0F : x;  // in this form a NaN passes
  const float c = low > 89.0F ? 89.0F : low;
  const float shifted = c * 1.44269504F + 12582912.0F;
  const float n = shifted - 12582912.0F;
  const float r = (c - n * 0x1.62e4p-1F) - n * 1.42860682e-6F;
  float q = 0.00138145976F;
  q = q * r + 0.00836871658F;
  q = q * r + 0.041668389F;
  q = q * r + 0.166665211F;
  q = q * r + 0.49999994F;
  const float p = q * (r * r) + r + 1.0F;
  const uint32_t bits = std::bit_cast<uint32_t>(shifted) - 0x4B400000U;
  const auto half = static_cast<uint32_t>(static_cast<int32_t>(bits) >> 1);
  return p * std::bit_cast<float>((half + 127U) << 23U) * std::bit_cast<float>((bits - half + 127U) << 23U);
}
[[nodiscard]] inline double vexp(double x) { return std::exp(x); }

// log(x) = k ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt(2)).
[[nodiscard]] inline float vlog(float x) {
  const bool denormal = x < 0x1p-126F;
  const uint32_t bits = std::bit_cast<uint32_t>(denormal ? x * 0x1p23F : x) - 0x3F3504F3U;
  const float k = static_cast<float>(static_cast<int32_t>(bits) >> 23) - (denormal ? 23.0F : 0.0F);
  const float f = std::bit_cast<float>((bits & 0x7FFFFFU) + 0x3F3504F3U) - 1.0F;
  float q = 0.06746573F;
  q = q * f - 0.116755836F;
  q = q * f + 0.118881546F;
  q = q * f - 0.124056004F;
  q = q * f + 0.142195553F;
  q = q * f - 0.166679949F;
  q = q * f + 0.200021178F;
  q = q * f - 0.250000089F;
  q = q * f + 0.333333135F;
  const float f2 = f * f;
  const float y = (((q * f2 * f + k * 1.42860682e-6F) - 0.5F * f2) + f) + k * 0x1.62e4p-1F;
  constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float positive = x < inf ? y : x;
  const float other = x == 0.0F ? -inf : nan;
  return x > 0.0F ? positive : other;
}
[[nodiscard]] inline double vlog(double x) { return std::log(x); }

// log(1 + x) with the rounding error of 1 + x put back; for x >= 0.
[[nodiscard]] inline float vlog1p(float x) {
  const float u = 1.0F + x;
  return vlog(u) + (x - (u - 1.0F)) / u;
}
[[nodiscard]] inline double vlog1p(double x) { return std::log1p(x); }

// 1 / (1 + exp(-x)); only exp of a negative number is taken, so nothing overflows and small results keep
// their digits.
template <class T>
[[nodiscard]] inline T vsigmoid(T x) {
  const T e = vexp(-std::fabs(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

// tanh(x) = x + x^3 q(x^2) near zero, 1 - 2 / (exp(2 |x|) + 1) beyond.
[[nodiscard]] inline float vtanh(float x) {
  const float a = std::fabs(x), z = x * x;
  float q = -0.00571704796F;
  q = q * z + 0.0206505898F;
  q = q * z - 0.0537435003F;
  q = q * z + 0.133314908F;
  q = q * z - 0.333332837F;
  const float small = q * z * a + a, large = 1.0F - 2.0F / (vexp(2.0F * a) + 1.0F);
  return std::copysign(a < 0.625F ? small : large, x);
}
[[nodiscard]] inline double vtanh(double x) { return std::tanh(x); }

// erf(x) = x + x q(x^2) near zero, 1 - exp(p(|x|)) beyond with p ~ log erfc; erf(4) is 1 in float.
[[nodiscard]] inline float verf(float x) {
  const float a = std::fabs(x), z = x * x;
  float q = -0.000597689941F;
  q = q * z + 0.00499098143F;
  q = q * z - 0.0267655682F;
  q = q * z + 0.112818025F;
  q = q * z - 0.376124948F;
  q = q * z + 0.128379151F;
  const float small = q * a + a;
  const float t = a > 4.0F ? 4.0F : a;
  float p = -2.10949547e-05F;
  p = p * t + 0.000434461545F;
  p = p * t - 0.00417105807F;
  p = p * t + 0.0251194146F;
  p = p * t - 0.10828007F;
  p = p * t - 0.633346915F;
  p = p * t - 1.12951493F;
  p = p * t + 0.000174682922F;
  const float large = 1.0F - vexp(p);
  return std::copysign(a < 0.93F ? small : large, x);
}
[[nodiscard]] inline double verf(double x) { return std::erf(x); }

}  // namespace gmail::cpu

// exp, log, log1p, tanh, the logistic function and the normal distribution, written without branches so that
// a loop marked GMAIL_SIMD becomes vector code. float: own minimax polynomials (Remez), a few units in the
// last place at most; overflow, infinities and NaN as in <cmath>, but exp gives 0 below 2^-125.5, for numbers
// without leading digits are slow in every product that meets them. double: <cmath> itself.
// tests/test_simd_math.cpp measures the errors.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace gmail::cpu {

// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2) / 2. Adding 1.5 * 2^23 rounds and leaves n in the
// low bits. 2^(n-1) is put together from its bits (n = -126 makes it 0) and doubled, so that n may reach 128.
[[nodiscard]] inline float vexp(float x) {
  const float low = x < -87.3F ? -87.3F : x;  // in this form a NaN passes
  const float c = low > 88.8F ? 88.8F : low;
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
  return p * std::bit_cast<float>((bits + 126U) << 23U) * 2.0F;
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

template <class T>
[[nodiscard]] inline T vsigmoid(T x) {
  return T(1) / (T(1) + vexp(-x));
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

// The normal distribution: Phi(x), its density phi(x). For x <= 0, Phi(x) = exp(-x^2 / 2) g(|x|) with g a
// polynomial in u = -|x| / (4 + |x|) that is 1/2 at u = 0: it keeps its digits near zero and far out.
// Otherwise Phi(x) = 1 - Phi(-x).
template <class T>
struct Normal {
  T Phi, phi;
};
[[nodiscard]] inline Normal<float> vnormal(float x) {
  const float quarter = 0.25F * std::fabs(x), a = quarter > 4.0F ? 4.0F : quarter;  // beyond, e is 0
  const float u = -a / (1.0F + a), e = vexp(-0.5F * x * x);
  float g = 0.0346937589F;
  g = g * u + 0.112116687F;
  g = g * u + 0.0520165525F;
  g = g * u - 0.206148654F;
  g = g * u - 0.108009502F;
  g = g * u + 0.870541811F;
  g = g * u + 2.1062727F;
  g = g * u + 2.40420818F;
  g = g * u + 1.59576845F;
  g = g * u + 0.5F;
  const float tail = e * g;
  return {x > 0.0F ? 1.0F - tail : tail, 0.398942280F * e};
}
[[nodiscard]] inline Normal<double> vnormal(double x) {
  return {0.5 * std::erfc(-0.70710678118654752440 * x), 0.39894228040143267794 * std::exp(-0.5 * x * x)};
}

}  // namespace gmail::cpu

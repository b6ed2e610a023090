#include "core/rng.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace gmail {
namespace {
constexpr uint64_t kMul0 = 0xD2511F53U, kMul1 = 0xCD9E8D57U;
constexpr uint32_t kWeyl0 = 0x9E3779B9U, kWeyl1 = 0xBB67AE85U;
}  // namespace

PhiloxBlock philox(std::array<uint32_t, 2> key, std::array<uint32_t, 4> c) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = kMul0 * c[0], p1 = kMul1 * c[2];
    c = {static_cast<uint32_t>(p1 >> 32U) ^ c[1] ^ key[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32U) ^ c[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return c;
}

namespace {
// The counter's words: draw number, index, step (low), and purpose with the high bits of step and index.
std::array<uint32_t, 4> counter_of(Purpose purpose, uint64_t step, uint64_t index) {
  const auto high = static_cast<uint32_t>(static_cast<uint32_t>(purpose) << 24U) |
                    static_cast<uint32_t>(((step >> 32U) & 0xfffU) << 12U) |
                    static_cast<uint32_t>((index >> 32U) & 0xfffU);
  return {0, static_cast<uint32_t>(index), static_cast<uint32_t>(step), high};
}
std::array<uint32_t, 2> key_of(uint64_t seed) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32U)};
}
double unit(uint32_t bits) { return bits * 0x1p-32; }
// Two independent normals from two words.
std::array<double, 2> box_muller(uint32_t a, uint32_t b) {
  const double radius = std::sqrt(-2 * std::log((a + 0.5) * 0x1p-32));
  const double angle = 2 * std::numbers::pi * unit(b);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

// Four counters side by side. A word sits in the lower half of its 64 bits, what is above it does not matter:
// the form in which vector units multiply 32 by 32 bits.
using Lanes [[gnu::vector_size(32)]] = uint64_t;
Lanes multiply_low(Lanes a, Lanes b) {
#ifdef __AVX2__
  return reinterpret_cast<Lanes>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#else
  return (a & 0xffffffffU) * (b & 0xffffffffU);
#endif
}
}  // namespace

PhiloxStream philox_stream(uint64_t seed, Purpose purpose, uint64_t step, uint64_t index) {
  return {key_of(seed), counter_of(purpose, step, index)};
}

// philox() for four blocks at a time
void stream_words(std::span<uint32_t> words, int64_t first, uint64_t seed, Purpose purpose, uint64_t step,
                  uint64_t index) {
  const auto counter = counter_of(purpose, step, index);
  const Lanes zero{}, mul0 = zero + kMul0, mul1 = zero + kMul1;
  for (size_t done = 0; done < words.size(); done += 16) {
    std::array<uint32_t, 2> key = key_of(seed);
    Lanes c0 = zero + (static_cast<uint64_t>(first) + done) / 4 + Lanes{0, 1, 2, 3};
    Lanes c1 = zero + counter[1], c2 = zero + counter[2], c3 = zero + counter[3];
    for (int round = 0; round < 10; ++round) {
      const Lanes p0 = multiply_low(mul0, c0), p1 = multiply_low(mul1, c2);
      c0 = (p1 >> 32U) ^ c1 ^ key[0], c1 = p1;
      c2 = (p0 >> 32U) ^ c3 ^ key[1], c3 = p0;
      key = {key[0] + kWeyl0, key[1] + kWeyl1};
    }
    const Lanes low = (c0 & 0xffffffffU) | (c1 << 32U), high = (c2 & 0xffffffffU) | (c3 << 32U);
    const std::array<uint64_t, 8> block{low[0], high[0], low[1], high[1], low[2], high[2], low[3], high[3]};
    uint32_t* const to = words.data() + done;
    if (words.size() - done >= 16)
      std::memcpy(to, block.data(), sizeof(block));
    else
      std::memcpy(to, block.data(), (words.size() - done) * sizeof(uint32_t));
  }
}

Rng::Rng(uint64_t seed, Purpose purpose, uint64_t step, uint64_t index)
    : key_(key_of(seed)), counter_(counter_of(purpose, step, index)) {}

uint32_t Rng::bits() {
  if (used_ == 4) {
    block_ = philox(key_, counter_);
    ++counter_[0];
    used_ = 0;
  }
  return block_[static_cast<size_t>(used_++)];
}

double Rng::uniform() { return unit(bits()); }

double Rng::normal() {
  const uint32_t a = bits();
  return box_muller(a, bits())[0];
}

int64_t Rng::below(int64_t n) {
  GMAIL_CHECK(n > 0 && n <= 0xffffffffLL, "[rng] below(", n, ")");
  const auto range = static_cast<uint64_t>(n);
  const uint64_t limit =
      (uint64_t{1} << 32U) / range * range;  // words at or above it would favour small results
  uint64_t word = bits();
  while (word >= limit) word = bits();
  return static_cast<int64_t>(word % range);
}

uint64_t stream_index(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3U;
  return (hash ^ (hash >> 44U)) & 0xfffffffffffU;
}

namespace {
template <class F>
void fill_blocks(Tensor& t, uint64_t seed, Purpose purpose, uint64_t step, uint64_t index, F&& four) {
  auto counter = counter_of(purpose, step, index);
  with_float_type(t.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = t.data<T>();
    for (int64_t i = 0; i < t.numel(); i += 4) {
      counter[0] = static_cast<uint32_t>(i / 4);
      const std::array<double, 4> v = four(philox(key_of(seed), counter));
      for (int64_t j = i; j < std::min(i + 4, t.numel()); ++j)
        out[j] = static_cast<T>(v[static_cast<size_t>(j - i)]);
    }
  });
}
}  // namespace

void fill_normal(Tensor& t, double stddev, uint64_t seed, Purpose purpose, uint64_t step, uint64_t index) {
  fill_blocks(t, seed, purpose, step, index, [&](const PhiloxBlock& w) -> std::array<double, 4> {
    const auto a = box_muller(w[0], w[1]), b = box_muller(w[2], w[3]);
    return {stddev * a[0], stddev * a[1], stddev * b[0], stddev * b[1]};
  });
}

void fill_uniform(Tensor& t, double low, double high, uint64_t seed, Purpose purpose, uint64_t step,
                  uint64_t index) {
  fill_blocks(t, seed, purpose, step, index, [&](const PhiloxBlock& w) -> std::array<double, 4> {
    const double span = high - low;
    return {low + span * unit(w[0]), low + span * unit(w[1]), low + span * unit(w[2]),
            low + span * unit(w[3])};
  });
}

}  // namespace gmail

// A weight of 24 bits is two of 16, w = 256 high + low, so that one instruction (pmaddwd) multiplies and adds
// two pixels; the sums fit 32 bits and are those of the plain loops to the bit.
#include <algorithm>
#include <cstring>

#include "data/resize_kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace gmail {
#if !defined(__AVX2__)

Image resize_vector(const Image& image, const ResizePlan& plan) { return resize_plain(image, plan); }

#else
namespace {

constexpr int64_t kRows = 4, kBlock = 32;  // rows at a time in the first pass, bytes in the second

struct Halves {
  std::vector<int16_t> high, low;  // of all weights, in their order
  explicit Halves(const std::vector<int32_t>& weights) : high(weights.size()), low(weights.size()) {
    for (size_t i = 0; i < weights.size(); ++i) {
      high[i] = static_cast<int16_t>(weights[i] >> 8);
      low[i] = static_cast<int16_t>(weights[i] & 255);
    }
  }
};

// Rows of pixels, each with room for a vector that reaches beyond its end.
struct Rows {
  int64_t width, height, stride;
  std::vector<uint8_t> bytes;
  Rows(int64_t w, int64_t h)
      : width(w),
        height(h),
        stride((w * 3 + 4 + kBlock - 1) / kBlock * kBlock),
        bytes(static_cast<size_t>(stride * ((h + kRows - 1) / kRows * kRows))) {}
  [[nodiscard]] uint8_t* row(int64_t y) { return bytes.data() + y * stride; }
};

// Rows as they lie in memory, up to `end`.
struct View {
  const uint8_t *begin, *end;
  int64_t stride, width, height;
};

__m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

// four weights -> a pair for each of (r, g, b, -): the first in the lower half, the second in the upper
__m256i pairs(const int16_t* four) {
  int64_t bits = 0;
  std::memcpy(&bits, four, sizeof bits);
  const __m256i both = _mm256_set1_epi64x(bits);
  const __m256i spread = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6,
                                          7, 4, 5, 6, 7, 4, 5, 6, 7);
  return _mm256_shuffle_epi8(both, spread);
}

// four pixels of three bytes -> (r0 r1) (g0 g1) (b0 b1) (0 0) in the lower half, the same of 2 and 3 above
__m256i four_pixels(const uint8_t* p) {
  const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i spread = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9,
                                          -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  return _mm256_shuffle_epi8(twice, spread);
}

__m256i whole(__m256i high, __m256i low) { return _mm256_add_epi32(_mm256_slli_epi32(high, 8), low); }

// (r, g, b, -) summed over both halves, eq. (2) less the clipping
__m128i pixel(__m256i high, __m256i low) {
  const __m256i v = whole(high, low);
  const __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  return _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << (kFraction - 1))), kFraction);
}

// First pass: four rows at once, since their weights are the same.
void across_four(const uint8_t* const in[kRows], uint8_t* const out[kRows], const Taps& taps,
                 const Halves& w) {
  for (int64_t x = 0; x < taps.size(); ++x) {
    const auto i = static_cast<size_t>(x);
    const int64_t from = taps.first[i] * 3;
    __m256i high[kRows] = {}, low[kRows] = {};
    for (int64_t t = 0; t < taps.count[i]; t += 4) {
      const __m256i h = pairs(w.high.data() + x * taps.stride + t),
                    l = pairs(w.low.data() + x * taps.stride + t);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256i p = four_pixels(in[r] + from + t * 3);
        high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(p, h));
        low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(p, l));
      }
    }
    const __m128i first = _mm_packs_epi32(pixel(high[0], low[0]), pixel(high[1], low[1]));
    const __m128i second = _mm_packs_epi32(pixel(high[2], low[2]), pixel(high[3], low[3]));
    alignas(16) uint8_t bytes[4 * kRows];
    _mm_store_si128(reinterpret_cast<__m128i*>(bytes), _mm_packus_epi16(first, second));
    for (int r = 0; r < kRows; ++r)
      std::memcpy(out[r] + x * 3, bytes + 4 * r, 4);  // the next pixel mends the 4th
  }
}

// Second pass: kBlock bytes of one output row. in[t]: input row t at these bytes, an even number of them.
void down_block(const std::vector<const uint8_t*>& in, int64_t at, const int16_t* high, const int16_t* low,
                uint8_t* out) {
  const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi32(1 << (kFraction - 1));
  __m256i h[4] = {}, l[4] = {half, half, half, half};
  for (size_t t = 0; t < in.size(); t += 2) {
    const __m256i a = load(in[t] + at), b = load(in[t + 1] + at);
    const __m256i ab[2] = {_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)};
    int32_t wide = 0;
    std::memcpy(&wide, high + t, sizeof wide);
    const __m256i wh = _mm256_set1_epi32(wide);
    std::memcpy(&wide, low + t, sizeof wide);
    const __m256i wl = _mm256_set1_epi32(wide);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const __m256i p =
          k % 2 == 0 ? _mm256_unpacklo_epi8(ab[k / 2], zero) : _mm256_unpackhi_epi8(ab[k / 2], zero);
      h[k] = _mm256_add_epi32(h[k], _mm256_madd_epi16(p, wh));
      l[k] = _mm256_add_epi32(l[k], _mm256_madd_epi16(p, wl));
    }
  }
  for (int k = 0; k < 4; ++k) h[k] = _mm256_srai_epi32(whole(h[k], l[k]), kFraction);
  const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(h[0], h[1]), _mm256_packs_epi32(h[2], h[3]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
}

// Bytes that across_four may look at after the end of a row.
int64_t overrun(const Taps& taps, int64_t width) {
  int64_t last = 0;
  for (size_t i = 0; i < taps.first.size(); ++i)
    last = std::max(last, (taps.first[i] + (taps.count[i] + 3) / 4 * 4) * 3 + 4);
  return std::max<int64_t>(0, last - width * 3);
}

Rows pass_across(const View& in, const Taps& taps) {
  const Halves w(taps.weights);
  Rows out(taps.size(), in.height);
  const int64_t line = in.width * 3, reach = line + overrun(taps, in.width);
  std::vector<uint8_t> copies(static_cast<size_t>(kRows * reach));
  for (int64_t y = 0; y < in.height; y += kRows) {
    const uint8_t* from[kRows];
    uint8_t* to[kRows];
    for (int64_t r = 0; r < kRows; ++r) {
      from[r] = in.begin + std::min(y + r, in.height - 1) * in.stride;
      if (in.end - from[r] < reach) {  // near the end of the memory: copied, with room after it
        uint8_t* copy = copies.data() + r * reach;
        std::copy_n(from[r], line, copy);
        from[r] = copy;
      }
      to[r] = out.row(y + r);
    }
    across_four(from, to, taps, w);
  }
  return out;
}

Rows pass_down(Rows& in, const Taps& taps) {
  const Halves w(taps.weights);
  Rows out(in.width, taps.size());
  std::vector<const uint8_t*> rows;
  for (int64_t y = 0; y < out.height; ++y) {
    const auto i = static_cast<size_t>(y);
    rows.clear();
    for (int64_t t = 0; t < taps.count[i]; ++t) rows.push_back(in.row(taps.first[i] + t));
    if (rows.size() % 2 != 0) rows.push_back(rows.back());  // its weight is zero
    const int16_t *high = w.high.data() + y * taps.stride, *low = w.low.data() + y * taps.stride;
    for (int64_t at = 0; at < out.width * 3; at += kBlock) down_block(rows, at, high, low, out.row(y) + at);
  }
  return out;
}

Image tight(Rows& rows) {
  Image out(rows.width, rows.height);
  for (int64_t y = 0; y < out.height; ++y) std::copy_n(rows.row(y), out.width * 3, out.at(0, y));
  return out;
}

}  // namespace

Image resize_vector(const Image& image, const ResizePlan& plan) {
  const auto [x, y, w, h] = plan.source;
  if (!plan.down_first) {
    const View source{image.at(x, y), image.rgb.data() + image.rgb.size(), image.width * 3, w, h};
    Rows narrow = pass_across(source, plan.across);
    Rows out = pass_down(narrow, plan.down);
    return tight(out);
  }
  Rows source(w, h);
  for (int64_t row = 0; row < h; ++row) std::copy_n(image.at(x, y + row), w * 3, source.row(row));
  Rows flat = pass_down(source, plan.down);
  const View view{flat.row(0), flat.bytes.data() + flat.bytes.size(), flat.stride, w, flat.height};
  Rows out = pass_across(view, plan.across);
  return tight(out);
}

#endif
}  // namespace gmail

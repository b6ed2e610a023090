#include "ops/kv_cache.h"

#include <algorithm>

namespace gmail {

CacheSizes cache_sizes(const Tensor& to, const Tensor& from, const Tensor& source, const Tensor& row,
                       const Tensor& position) {
  GMAIL_CHECK(to.rank() == 3 && to.numel() > 0, "[kv_cache] expected (R, T, C), got ", to.shape());
  const int64_t R = to.size(0), T = to.size(1), C = to.size(2);
  GMAIL_CHECK(!row || row.shape() == (Shape{R, 1, C}), "[kv_cache] rows ", row.shape(), " for a cache ",
              to.shape());
  GMAIL_CHECK(position.shape() == Shape{1}, "[kv_cache] position must be (1), got ", position.shape());
  if (!from) return {R, T, C, 0, 0};
  GMAIL_CHECK(from.rank() == 3 && from.size(2) == C && from.numel() > 0 && source.shape() == Shape{R},
              "[kv_cache] from ", from.shape(), " by ", source.shape(), " to ", to.shape());
  GMAIL_CHECK(from.raw() != to.raw(), "[kv_cache] rows cannot move within one cache");
  return {R, T, C, from.size(0), from.size(1)};
}

namespace cpu {

void kv_append(Tensor& to, const Tensor& from, const Tensor& source, const Tensor& row,
               const Tensor& position) {
  const CacheSizes s = cache_sizes(to, from, source, row, position);
  const int64_t n = *position.data<int32_t>();
  with_float_type(to.dtype(), [&](auto zero) {
    using S = decltype(zero);
    for (int64_t r = 0; r < s.R; ++r) {
      S* const y = to.data<S>() + r * s.T * s.C;
      const int64_t b = from ? source.data<int32_t>()[r] : -1;
      if (b >= 0 && b < s.from_rows)  // (1)
        std::copy_n(from.data<S>() + b * s.from_T * s.C,
                    std::clamp<int64_t>(n, 0, std::min(s.T, s.from_T)) * s.C, y);
      if (row && n >= 0 && n < s.T) std::copy_n(row.data<S>() + r * s.C, s.C, y + n * s.C);
    }
  });
}

void kv_seen(Tensor& seen, const Tensor& position) {
  GMAIL_CHECK(seen.rank() == 2, "[kv_cache] expected (R, T), got ", seen.shape());
  const int64_t T = seen.size(1), n = *position.data<int32_t>();
  for (int64_t i = 0; i < seen.numel(); ++i) seen.data<int32_t>()[i] = i % T <= n ? 1 : 0;  // (2)
}

}  // namespace cpu
}  // namespace gmail

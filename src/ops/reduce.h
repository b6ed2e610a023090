// Sums over many rows with a fixed order: partial sums of fixed blocks of rows, then the blocks one after
// the other. The result has the same bits for every number of threads.
#pragma once

#include <algorithm>

#include "core/arena.h"
#include "core/parallel_for.h"
#include "ops/grad.h"

namespace gmail::cpu {

// out[c] (+)= sum over rows n of what row(n, partial) adds to partial[0 .. width). At most 64 blocks.
template <class T, class Row>
void sum_rows(T* sums, int64_t rows, int64_t width, Row&& row) {
  const int64_t per_block = std::max<int64_t>(16, (rows + 63) / 64);
  const int64_t blocks = std::max<int64_t>(1, (rows + per_block - 1) / per_block);
  const Scratch<T> partial(blocks * width);
  T* const p = partial.data();
  std::fill_n(p, blocks * width, T(0));
  parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k)
      for (int64_t n = k * per_block; n < std::min(rows, (k + 1) * per_block); ++n) row(n, p + k * width);
  });
  std::copy_n(p, width, sums);
  for (int64_t k = 1; k < blocks; ++k)
    for (int64_t c = 0; c < width; ++c) sums[c] += p[k * width + c];
}

}  // namespace gmail::cpu

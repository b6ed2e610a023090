// How memory-bound work is cut for parallel_for: about kGrain elements a chunk, enough to pay for
// waking a thread.
#pragma once

#include <algorithm>

#include "core/parallel_for.h"

namespace gmail::cpu {

constexpr int64_t kGrain = 16384;

// rows of `width` elements that make a chunk
[[nodiscard]] inline int64_t rows_per_chunk(int64_t width) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width));
}

// Cuts rows x width elements into chunks and calls f(row, begin, end) for each piece of a row in a chunk, so
// that few long rows and many short ones are shared out equally well.
template <class F>
void parallel_pieces(int64_t rows, int64_t width, F&& f) {
  parallel_for(rows * width, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const int64_t row = i / width, c = i - row * width, stop = std::min(width, c + end - i);
      f(row, c, stop);
      i += stop - c;
    }
  });
}

}  // namespace gmail::cpu

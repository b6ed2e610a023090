// A cache of fixed size for the keys, or the values, that a decoder has seen: (R, T, C), R rows of text, T
// positions. A step at position n appends one token a row, and row r goes on from what row source_r of the
// cache before it holds (beams move):
//   (1)  to[r, t] = from[source_r, t] for t < n,   to[r, n] = row_r
//   (2)  seen[r, t] = 1 if t <= n, else 0                      the key mask of the step's attention
// Everything is read from memory, so that a recorded step serves every position. A source or position that is
// none leaves `to` as it is.
#pragma once

#include "core/tensor.h"

namespace gmail {

struct CacheSizes {
  int64_t R, T, C;
  int64_t from_rows, from_T;  // 0: the rows stay where they are
};
[[nodiscard]] CacheSizes cache_sizes(const Tensor& to, const Tensor& from, const Tensor& source,
                                     const Tensor& row, const Tensor& position);  // checks them

namespace cpu {
// to (R, T, C); from (R', T', C) with source (R) int32, or both absent: to holds the rows already; row
// (R, 1, C), or absent: nothing is appended; position (1) int32
void kv_append(Tensor& to, const Tensor& from, const Tensor& source, const Tensor& row,
               const Tensor& position);
void kv_seen(Tensor& seen, const Tensor& position);  // seen (R, T) int32
}  // namespace cpu
namespace cuda {  // the same on a stream: cuda/kv_cache.cu
void kv_append(Tensor& to, const Tensor& from, const Tensor& source, const Tensor& row,
               const Tensor& position, Stream stream);
void kv_seen(Tensor& seen, const Tensor& position, Stream stream);
}  // namespace cuda
}  // namespace gmail

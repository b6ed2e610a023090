// Ops that treat each row on its own. A row of up to kHeldRow elements belongs to a warp, which reads it once
// and holds it in registers; a longer one to a block, which reads it again from the cache. A row that is not
// there is the whole team's to leave, so no lane misses a shuffle.
#pragma once

#include "reduce.cuh"
#include "vector.cuh"

namespace gmail::cuda {

constexpr int kRows = 8;                          // warps of a block
constexpr int kHeld = 32, kHeldRow = 32 * kHeld;  // elements that a lane holds, that a warp holds

__device__ inline int lane() { return static_cast<int>(threadIdx.x % kWarp); }
__device__ inline int64_t row() { return int64_t{blockIdx.x} * kRows + threadIdx.x / kWarp; }

template <class... P, class... A>
void launch_rows(At at, void (*kernel)(P...), int64_t N, A&&... arguments) {
  if (N > 0) launch(at, kernel, blocks_for(N, kRows), kRows * kWarp, 0, std::forward<A>(arguments)...);
}

// The threads that share a row: a warp, or a block of the same size as kRows of them.
template <bool kWarpRow>
struct Team {
  static constexpr int kSize = kWarpRow ? kWarp : kRows * kWarp;
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % kSize; }
  __device__ static int64_t row() { return kWarpRow ? cuda::row() : int64_t{blockIdx.x}; }
  template <class Op>
  __device__ static float reduce(float v) {
    if constexpr (kWarpRow) return warp_reduce<Op>(v);
    __shared__ float partial[kWarp];
    return block_reduce<Op>(v, partial);
  }
};

// f(j, c) for the thread's packs of K elements: the j-th begins in column c
template <int K, bool kWarpRow, class F>
__device__ void each_pack(int C, F&& f) {
  const int first = Team<kWarpRow>::lane() * K;
  if constexpr (kWarpRow) {
    GMAIL_UNROLL
    for (int j = 0; j < kHeld / K; ++j)
      if (first + j * kWarp * K < C) f(j, first + j * kWarp * K);
  } else {
    for (int c = first; c < C; c += Team<false>::kSize * K) f(0, c);
  }
}

// The thread's part of the row that begins at `at`.
template <class T, int K, bool kWarpRow>
class Row {
 public:
  __device__ Row(DeviceSpan<const T> s, int64_t at, int C) : s_(s), at_(at) {
    if constexpr (kWarpRow)
      each_pack<K, true>(C, [&](int j, int c) { held_[j] = read_pack<K>(s_, at_ + c); });
  }
  __device__ Pack<T, K> at(int j, int c) const {
    if constexpr (kWarpRow) return held_[j];
    return read_pack<K>(s_, at_ + c);
  }

 private:
  DeviceSpan<const T> s_;
  int64_t at_;
  Pack<T, K> held_[kWarpRow ? kHeld / K : 1] = {};
};

// The sum of a b over a row, in every thread of the team.
template <class T, int K, bool kWarpRow>
__device__ float row_dot(const Row<T, K, kWarpRow>& a, const Row<T, K, kWarpRow>& b, int C) {
  float dot = 0;
  each_pack<K, kWarpRow>(C, [&](int j, int c) {
    const Pack<T, K> u = a.at(j, c), v = b.at(j, c);
    for (int k = 0; k < K; ++k) dot += u[k] * v[k];
  });
  return Team<kWarpRow>::template reduce<Sum>(dot);
}

// Calls f(Width<K>, bool_constant<kWarpRow>) as the row of C elements of T allows.
template <int K>
using Width = std::integral_constant<int, K>;
template <class T, class F>
void with_row(int64_t C, bool wide, F&& f) {
  GMAIL_CHECK(C < int64_t{1} << 30U, "[cuda] a row of ", C, " elements is too long");
  if (wide && C % kWide<T> == 0)
    C <= kHeldRow ? f(Width<kWide<T>>{}, std::true_type{}) : f(Width<kWide<T>>{}, std::false_type{});
  else
    C <= kHeldRow ? f(Width<1>{}, std::true_type{}) : f(Width<1>{}, std::false_type{});
}
template <bool kWarpRow, class... P, class... A>
void launch_teams(At at, void (*kernel)(P...), int64_t N, A&&... arguments) {
  if (N > 0)
    launch(at, kernel, blocks_for(N, kWarpRow ? kRows : 1), kRows * kWarp, 0, std::forward<A>(arguments)...);
}

}  // namespace gmail::cuda

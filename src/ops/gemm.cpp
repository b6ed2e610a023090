#include "ops/gemm.h"

#include <algorithm>
#include <cstring>

#include "core/arena.h"
#include "core/parallel_for.h"
#include "ops/gemm_internal.h"
#include "ops/gemm_select.h"

namespace gmail::cpu {
namespace {

constexpr int64_t kDepthBytes = 1280;             // of a row of A kept in the first-level cache
constexpr int64_t kChunkBytes = 8 * 1024 * 1024;  // of B packed at a time
constexpr int64_t kColumnsBytes = 1536;  // of a row of the block of B that stays in the second-level cache
constexpr int64_t kTasks = 32;           // wanted, if they do not become too small

static_assert(kGemmSmall == kSmallSide);

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Columns of packed panel j: nr, or nr / 2 for a narrow last one.
int64_t panel_width(int64_t n, int64_t nr, int64_t j) { return n - j * nr <= nr / 2 ? nr / 2 : nr; }

template <class T>
void pack_panel(const GemmKernels<T>& kernels, T* out, const T* b, int64_t ldb, bool trans_b, int64_t k0,
                int64_t kp, int64_t j0, int64_t width, int64_t n) {
  if (trans_b)
    kernels.pack_transposed(out, width, b + j0 * ldb + k0, ldb, n, kp);
  else
    kernels.pack(out, width, b + k0 * ldb + j0, ldb, n, kp);
}

// Rows k0 .. k0 + kp and columns col0 .. col0 + n of op(B), panel after panel.
template <class T>
void pack_chunk(T* packed, const T* b, int64_t ldb, bool trans_b, int64_t k0, int64_t kp, int64_t col0,
                int64_t n) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const int64_t nr = kernels.nr;
  const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, kp * nr));
  parallel_for(ceil_div(n, nr), grain, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j)
      pack_panel(kernels, packed + j * nr * kp, b, ldb, trans_b, k0, kp, col0 + j * nr, panel_width(n, nr, j),
                 std::min(nr, n - j * nr));
  });
}

// A part of B that has been packed: rows k0 .. k0 + kp, columns col0 .. col0 + n.
template <class T>
struct Chunk {
  const T* panels;
  int64_t k0, kp, col0, n;
};

// Tiles of one strip of rows against the column panels [j0, j1), depth [k0, k0 + kc) inside the chunk.
template <class T>
class Strip {
 public:
  Strip(const Gemm<T>& g, const GemmKernels<T>& kernels, const Chunk<T>& chunk, int64_t max_depth)
      : g_(g), kernels_(kernels), chunk_(chunk), copy_(kernels.mr * (max_depth + kPad)) {
    // rows whose distance is a multiple of half a page fall into the same few cache sets
    aliased_ =
        !g.trans_a && (g.lda * static_cast<int64_t>(sizeof(T))) % 2048 == 0 && chunk.n > 2 * kernels.nr;
  }

  void run(int64_t i0, int64_t i1, int64_t k0, int64_t kc, int64_t j0, int64_t j1) {
    const int64_t m = i1 - i0, k = chunk_.k0 + k0, nr = kernels_.nr;
    const T* rows[kMaxTileRows];
    GemmTile<T> tile;
    load_a(tile, rows, i0, m, k, kc);
    tile.kc = kc;
    tile.alpha = g_.alpha;
    tile.ldc = g_.ldc;
    const bool first = k == 0, last = k + kc == g_.k;
    const T* c_in = first ? (g_.beta == T(0) ? nullptr : g_.c_in ? g_.c_in : g_.c) : g_.c;
    tile.beta = first ? g_.beta : T(1);
    tile.ld_in = first && g_.c_in ? g_.ld_in : g_.ldc;
    for (int64_t j = j0; j < j1; ++j) {
      const int64_t width = panel_width(chunk_.n, nr, j), column = chunk_.col0 + j * nr;
      tile.b = chunk_.panels + j * nr * chunk_.kp + k0 * width;
      tile.ldb = width;
      tile.c = g_.c + i0 * g_.ldc + column;
      tile.c_in = c_in ? c_in + i0 * tile.ld_in + column : nullptr;
      tile.bias = last && g_.bias ? g_.bias + column : nullptr;
      tile.n = std::min(width, chunk_.n - j * nr);
      const auto& by_rows = width == nr ? kernels_.rows_full : kernels_.rows_half;
      const auto& by_cols = width == nr ? kernels_.cols_full : kernels_.cols_half;
      (g_.trans_a ? by_cols : by_rows)[m - 1](tile);
    }
  }

 private:
  static constexpr int64_t kPad = 64 / static_cast<int64_t>(sizeof(T));

  void load_a(GemmTile<T>& tile, const T** rows, int64_t i0, int64_t m, int64_t k, int64_t kc) {
    if (g_.trans_a) {
      kernels_.pack(copy_.data(), m, g_.a + k * g_.lda + i0, g_.lda, m, kc);
      tile.a = copy_.data();
      tile.a_step = m;
      return;
    }
    for (int64_t i = 0; i < m; ++i) {
      rows[i] = g_.a + (i0 + i) * g_.lda + k;
      if (!aliased_) continue;
      T* const copy = copy_.data() + i * (kc + kPad);
      std::memcpy(copy, rows[i], static_cast<size_t>(kc) * sizeof(T));
      rows[i] = copy;
    }
    tile.rows = rows;
  }

  const Gemm<T>& g_;
  const GemmKernels<T>& kernels_;
  const Chunk<T>& chunk_;
  Scratch<T> copy_;
  bool aliased_ = false;
};

template <class T>
void multiply_chunk(const Gemm<T>& g, const GemmKernels<T>& kernels, const Chunk<T>& chunk) {
  const int64_t strips = ceil_div(g.m, kernels.mr), panels = ceil_div(chunk.n, kernels.nr);
  const int64_t steps = ceil_div(chunk.kp, kDepthBytes / static_cast<int64_t>(sizeof(T)));
  const int64_t depth = ceil_div(chunk.kp, steps);
  int64_t strips_per_task = 8, panels_per_task = kColumnsBytes / static_cast<int64_t>(sizeof(T)) / kernels.nr;
  const auto tasks = [&] { return ceil_div(strips, strips_per_task) * ceil_div(panels, panels_per_task); };
  const auto work = [&] {
    return std::min(strips, strips_per_task) * kernels.mr * std::min(panels, panels_per_task) * kernels.nr *
           chunk.kp;
  };
  while (tasks() < kTasks && work() > 500'000 && strips_per_task * panels_per_task > 1) {
    if (std::min(strips, strips_per_task) > 1)
      strips_per_task = (std::min(strips, strips_per_task) + 1) / 2;
    else
      panels_per_task = (std::min(panels, panels_per_task) + 1) / 2;
  }
  const int64_t row_tasks = ceil_div(strips, strips_per_task);
  const int64_t grain = work() < 100'000 ? std::max<int64_t>(1, 100'000 / std::max<int64_t>(1, work())) : 1;
  parallel_for(tasks(), grain, [&](int64_t begin, int64_t end) {
    Strip<T> strip(g, kernels, chunk, depth);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t s0 = task % row_tasks * strips_per_task, s1 = std::min(strips, s0 + strips_per_task);
      const int64_t j0 = task / row_tasks * panels_per_task, j1 = std::min(panels, j0 + panels_per_task);
      for (int64_t k0 = 0; k0 < chunk.kp; k0 += depth)
        for (int64_t s = s0; s < s1; ++s)  // rows are shared evenly: no strip is much thinner than the others
          strip.run(s * g.m / strips, (s + 1) * g.m / strips, k0, std::min(depth, chunk.kp - k0), j0, j1);
    }
  });
}

template <class T>
void multiply(const Gemm<T>& g) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  if (g.packed_b) return multiply_chunk(g, kernels, Chunk<T>{g.packed_b, 0, g.k, 0, g.n});
  const int64_t size = sizeof(T), depth = kDepthBytes / size;
  const int64_t np =
      std::min(g.n, std::max<int64_t>(1, kChunkBytes / size / depth / kernels.nr) * kernels.nr);
  const int64_t kp = std::min(g.k, std::max<int64_t>(1, kChunkBytes / size / np / depth) * depth);
  const Scratch<T> packed(packed_size<T>(kp, np));
  for (int64_t j = 0; j < g.n; j += np)
    for (int64_t k = 0; k < g.k; k += kp) {
      const Chunk<T> chunk{packed.data(), k, std::min(kp, g.k - k), j, std::min(np, g.n - j)};
      pack_chunk(packed.data(), g.b, g.ldb, g.trans_b, chunk.k0, chunk.kp, chunk.col0, chunk.n);
      multiply_chunk(g, kernels, chunk);
    }
}

}  // namespace

template <class T>
int64_t packed_size(int64_t k, int64_t n) {
  const int64_t nr = gemm_kernels<T>().nr;
  return k * ceil_div(n, nr / 2) * (nr / 2);
}

template <class T>
void pack_b(T* packed, const T* b, int64_t ldb, bool trans_b, int64_t k, int64_t n) {
  pack_chunk(packed, b, ldb, trans_b, 0, k, 0, n);
}

template <class T>
void gemm(const Gemm<T>& g) {
  if (g.m <= 0 || g.n <= 0) return;
  if (std::min(g.m, g.n) <= kSmallSide || g.k == 0) return gemm_small(g);
  multiply(g);
}

template void gemm(const Gemm<float>&);
template void gemm(const Gemm<double>&);
template int64_t packed_size<float>(int64_t, int64_t);
template int64_t packed_size<double>(int64_t, int64_t);
template void pack_b(float*, const float*, int64_t, bool, int64_t, int64_t);
template void pack_b(double*, const double*, int64_t, bool, int64_t, int64_t);

}  // namespace gmail::cpu

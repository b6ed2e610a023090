#include "ops/gemm.h"

#include <algorithm>
#include <cstring>

#include "core/arena.h"
#include "core/parallel_for.h"
#include "ops/gemm_internal.h"
#include "ops/gemm_select.h"

namespace gmail::cpu {
namespace {

constexpr int64_t kDepthBytes = 1280;              // of a row of A in the first-level cache
constexpr int64_t kColumnsBytes = 1536;            // of a row of the block of B in the second-level cache
constexpr int64_t kStrips = 16;                    // strips of rows that share such a block
constexpr int64_t kPackedBytes = 8 * 1024 * 1024;  // of B packed at a time
constexpr int64_t kBothBytes =
    1024 * 1024;                         // of A^T and B packed at a time: they stay in the second-level cache
constexpr int64_t kInPlace = 16 * 1024;  // elements of an operand that is not worth packing, beside A^T
constexpr int64_t kTasks = 32;           // wanted, if they do not become too small
constexpr int64_t kPackRows = 64;        // rows of a row-major operand that are packed together

static_assert(kGemmSmall == kSmallSide);

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Columns of packed panel j: nr, or nr / 2 for a narrow last one.
int64_t panel_width(int64_t n, int64_t nr, int64_t j) { return n - j * nr <= nr / 2 ? nr / 2 : nr; }

// Rows i0 .. i0 + m of C, columns col0 .. col0 + n, depth k0 .. k0 + kp: what is packed and multiplied at a
// time.
template <class T>
struct Chunk {
  int64_t i0 = 0, m = 0, col0 = 0, n = 0, k0 = 0, kp = 0;
  const T* panels =
      nullptr;  // of op(B), panel_k rows each, this chunk's from row panel_k0 on; null: B in place
  int64_t panel_k = 0, panel_k0 = 0;
  const T* a_strips = nullptr;  // of A^T: mr columns each, kp rows; null: A in place
  int64_t strips = 0;
  // rows are shared evenly: no strip is much thinner than the others
  [[nodiscard]] int64_t strip_begin(int64_t s) const { return s * m / strips; }
};

// op(B), given by rows, between rows k and k + rows of the chunk.
template <class T>
void pack_rows(const GemmKernels<T>& kernels, T* panels, const Chunk<T>& c, const T* b, int64_t ldb,
               int64_t k, int64_t rows) {
  for (int64_t j = 0; j * kernels.nr < c.n; ++j) {
    const int64_t width = panel_width(c.n, kernels.nr, j), column = j * kernels.nr;
    kernels.pack(panels + column * c.kp + k * width, width, b + (c.k0 + k) * ldb + c.col0 + column, ldb,
                 std::min(width, c.n - column), rows);
  }
}

// op(B)^T, given by rows: panels [begin, end).
template <class T>
void pack_columns(const GemmKernels<T>& kernels, T* panels, const Chunk<T>& c, const T* b, int64_t ldb,
                  int64_t begin, int64_t end) {
  for (int64_t j = begin; j < end; ++j) {
    const int64_t width = panel_width(c.n, kernels.nr, j), column = j * kernels.nr;
    kernels.pack_transposed(panels + column * c.kp, width, b + (c.col0 + column) * ldb + c.k0, ldb,
                            std::min(width, c.n - column), c.kp);
  }
}

// A^T, given by rows, between rows k and k + rows of the chunk. A strip takes mr columns where there are so
// many.
template <class T>
void pack_strips(const GemmKernels<T>& kernels, T* strips, const Chunk<T>& c, const Gemm<T>& g, int64_t k,
                 int64_t rows) {
  for (int64_t s = 0; s < c.strips; ++s) {
    const int64_t i = c.i0 + c.strip_begin(s);
    kernels.pack(strips + (s * c.kp + k) * kernels.mr, kernels.mr, g.a + (c.k0 + k) * g.lda + i, g.lda,
                 std::min<int64_t>(kernels.mr, g.m - i), rows);
  }
}

template <class T>
void pack_b_chunk(const GemmKernels<T>& kernels, T* panels, const Chunk<T>& c, const T* b, int64_t ldb,
                  bool trans_b) {
  if (trans_b) {
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, c.kp * kernels.nr));
    parallel_for(ceil_div(c.n, kernels.nr), grain,
                 [&](int64_t begin, int64_t end) { pack_columns(kernels, panels, c, b, ldb, begin, end); });
    return;
  }
  const int64_t grain = std::max(kPackRows, 16384 / std::max<int64_t>(1, c.n));
  parallel_for(c.kp, grain, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k += kPackRows)
      pack_rows(kernels, panels, c, b, ldb, k, std::min(kPackRows, end - k));
  });
}

template <class T>
void pack_a_chunk(const GemmKernels<T>& kernels, T* strips, const Chunk<T>& c, const Gemm<T>& g) {
  const int64_t grain = std::max(kPackRows, 16384 / std::max<int64_t>(1, c.m));
  parallel_for(c.kp, grain, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k += kPackRows)
      pack_strips(kernels, strips, c, g, k, std::min(kPackRows, end - k));
  });
}

// The tiles of some strips of rows against some panels of columns.
template <class T>
class Block {
 public:
  Block(const Gemm<T>& g, const GemmKernels<T>& kernels, const Chunk<T>& c, int64_t depth)
      : g_(g), kernels_(kernels), c_(c), copy_(kernels.mr * (depth + kPad)) {
    // rows whose distance is a multiple of half a page fall into the same few cache sets
    copies_ = !g.trans_a && g.lda * kSize % 2048 == 0 && c.n > 2 * kernels.nr;
  }

  // Strip s, depth [k, k + kc) of the chunk, panels [j0, j1). Strip `next` follows; what to fetch for later
  // is at `ahead` panels from here, depth ahead_k.
  void strip(int64_t s, int64_t next, int64_t k, int64_t kc, int64_t j0, int64_t j1, int64_t ahead,
             int64_t ahead_k) {
    const int64_t i0 = c_.i0 + c_.strip_begin(s), m = c_.i0 + c_.strip_begin(s + 1) - i0, nr = kernels_.nr;
    const T *rows[kMaxTileRows], *next_rows[kMaxTileRows];
    for (int64_t i = 0; i < m; ++i) next_rows[i] = g_.a + (i0 + m + i) * g_.lda + c_.k0 + k;
    GemmTile<T> tile;
    load_a(tile, rows, i0, m, k, kc, s);
    tile.kc = kc;
    tile.alpha = g_.alpha;
    tile.ldc = g_.ldc;
    const bool first = c_.k0 + k == 0, last = c_.k0 + k + kc == g_.k;
    const T* c_in = first ? (g_.beta == T(0) ? nullptr : g_.c_in ? g_.c_in : g_.c) : g_.c;
    tile.beta = first ? g_.beta : T(1);
    tile.ld_in = first && g_.c_in ? g_.ld_in : g_.ldc;
    const int64_t panels = ceil_div(c_.n, nr);
    for (int64_t j = j0; j < j1; ++j) {
      const int64_t width = panel_width(c_.n, nr, j), column = c_.col0 + j * nr;
      tile.b = c_.panels ? panel(j, k) : g_.b + (c_.k0 + k) * g_.ldb + column;
      tile.ldb = c_.panels ? width : g_.ldb;
      tile.c = g_.c + i0 * g_.ldc + column;
      tile.c_in = c_in ? c_in + i0 * tile.ld_in + column : nullptr;
      tile.bias = last && g_.bias ? g_.bias + column : nullptr;
      tile.n = std::min(width, c_.n - j * nr);
      if (!g_.trans_a) {
        tile.next_b = panel(std::min(j + ahead, panels - 1), ahead_k) + s % 4 * kc * kTileAhead * kPad / 16;
        tile.next_rows = j == j0 && next < c_.strips ? next_rows : nullptr;
      }
      const auto& by_rows = width == nr ? kernels_.rows_full : kernels_.rows_half;
      const auto& by_cols = width == nr ? kernels_.cols_full : kernels_.cols_half;
      (g_.trans_a ? by_cols : by_rows)[m - 1](tile);
    }
  }

 private:
  static constexpr int64_t kSize = sizeof(T);
  static constexpr int64_t kPad = 64 / kSize;

  [[nodiscard]] const T* panel(int64_t j, int64_t k) const {
    return c_.panels + j * kernels_.nr * c_.panel_k + (c_.panel_k0 + k) * panel_width(c_.n, kernels_.nr, j);
  }

  void load_a(GemmTile<T>& tile, const T** rows, int64_t i0, int64_t m, int64_t k, int64_t kc, int64_t s) {
    if (g_.trans_a) {
      run_ = {c_.a_strips ? c_.a_strips + (s * c_.kp + k) * kernels_.mr : g_.a + (c_.k0 + k) * g_.lda + i0, 0,
              kc};
      tile.runs = &run_;
      tile.a_step = c_.a_strips ? kernels_.mr : g_.lda;
      return;
    }
    for (int64_t i = 0; i < m; ++i) {
      rows[i] = g_.a + (i0 + i) * g_.lda + c_.k0 + k;
      if (!copies_) continue;
      T* const copy = copy_.data() + i * (kc + kPad);
      std::memcpy(copy, rows[i], static_cast<size_t>(kc * kSize));
      rows[i] = copy;
    }
    tile.rows = rows;
  }

  const Gemm<T>& g_;
  const GemmKernels<T>& kernels_;
  const Chunk<T>& c_;
  Scratch<T> copy_;
  GemmRun<T> run_{};
  bool copies_ = false;
};

// How a chunk is cut into tasks; by its sizes alone.
struct Cut {
  int64_t strips, panels;  // of a task
  int64_t row_tasks, tasks, grain;
};

template <class T>
Cut cut(const Chunk<T>& c, const GemmKernels<T>& kernels) {
  const int64_t panels = ceil_div(c.n, kernels.nr);
  Cut t{std::min(c.strips, kStrips),
        std::min(panels, kColumnsBytes / static_cast<int64_t>(sizeof(T)) / kernels.nr), 0, 0, 0};
  const auto count = [&] { return ceil_div(c.strips, t.strips) * ceil_div(panels, t.panels); };
  const auto work = [&] { return t.strips * kernels.mr * t.panels * kernels.nr * c.kp; };
  while (count() < kTasks && work() > 500'000 && t.strips * t.panels > 1) {
    if (t.strips > 4 || t.panels == 1)
      t.strips = (t.strips + 1) / 2;
    else
      t.panels = (t.panels + 1) / 2;
  }
  t.row_tasks = ceil_div(c.strips, t.strips);
  t.tasks = count();
  t.grain = std::max<int64_t>(1, 100'000 / std::max<int64_t>(1, work()));
  return t;
}

template <class T>
void multiply_chunk(const Gemm<T>& g, const GemmKernels<T>& kernels, const Chunk<T>& c) {
  const int64_t depth = ceil_div(c.kp, ceil_div(c.kp, kDepthBytes / static_cast<int64_t>(sizeof(T))));
  const int64_t panels = ceil_div(c.n, kernels.nr);
  const Cut t = cut(c, kernels);
  parallel_for(t.tasks, t.grain, [&](int64_t begin, int64_t end) {
    Block<T> block(g, kernels, c, depth);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t s0 = task % t.row_tasks * t.strips, s1 = std::min(c.strips, s0 + t.strips);
      const int64_t j0 = task / t.row_tasks * t.panels, j1 = std::min(panels, j0 + t.panels);
      for (int64_t k = 0; k < c.kp; k += depth) {
        const bool deeper = k + depth < c.kp;
        for (int64_t s = s0; s < s1; ++s)
          block.strip(s, s + 1, k, std::min(depth, c.kp - k), j0, j1,
                      !deeper && s1 == c.strips ? t.panels : 0, deeper ? k + depth : 0);
      }
    }
  });
}

// What is packed at a time, and what is not packed at all.
struct Sizes {
  int64_t m, n, k;
  bool pack_a, pack_b;
};

template <class T>
Sizes chunk_sizes(const Gemm<T>& g, const GemmKernels<T>& kernels) {
  const int64_t size = sizeof(T), depth = kDepthBytes / size, nr = kernels.nr;
  const bool whole_panels = g.n % (nr / 2) == 0;  // else a vector would read past the end of a row
  Sizes s{g.m, g.n, g.k, false, !g.packed_b};
  if (!g.trans_a) {
    if (g.packed_b) return s;
    s.n = std::min(g.n, kPackedBytes / size / depth / nr * nr);
    s.k = kPackedBytes / size / s.n;
  } else {
    s.pack_a = g.m * g.k > kInPlace;
    s.pack_b = !g.packed_b && (g.trans_b || !whole_panels || g.n * g.k > kInPlace);
    s.m = std::min(g.m, int64_t{128} * kernels.mr);
    s.n = g.packed_b ? g.n : std::min(g.n, 32 * nr);
    s.k = kBothBytes / size / (s.m + s.n);
  }
  s.k = ceil_div(g.k, ceil_div(g.k, std::max(depth, s.k)));
  return s;
}

template <class T>
void multiply(const Gemm<T>& g) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const Sizes s = chunk_sizes(g, kernels);
  const Scratch<T> panels(s.pack_b ? packed_size<T>(s.k, s.n) : 0);
  const Scratch<T> strips(s.pack_a ? ceil_div(s.m, kernels.mr) * kernels.mr * s.k : 0);
  Chunk<T> c;
  for (c.i0 = 0; c.i0 < g.m; c.i0 += s.m)
    for (c.col0 = 0; c.col0 < g.n; c.col0 += s.n)
      for (c.k0 = 0; c.k0 < g.k; c.k0 += s.k) {
        c.m = std::min(s.m, g.m - c.i0);
        c.n = std::min(s.n, g.n - c.col0);
        c.kp = std::min(s.k, g.k - c.k0);
        c.strips = ceil_div(c.m, kernels.mr);
        c.panels = g.packed_b ? g.packed_b : s.pack_b ? panels.data() : nullptr;
        c.panel_k = g.packed_b ? g.k : c.kp;
        c.panel_k0 = g.packed_b ? c.k0 : 0;
        c.a_strips = s.pack_a ? strips.data() : nullptr;
        if (s.pack_b) pack_b_chunk(kernels, panels.data(), c, g.b, g.ldb, g.trans_b);
        if (s.pack_a) pack_a_chunk(kernels, strips.data(), c, g);
        multiply_chunk(g, kernels, c);
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
  Chunk<T> whole;
  whole.n = n;
  whole.kp = k;
  pack_b_chunk(gemm_kernels<T>(), packed, whole, b, ldb, trans_b);
}

template <class T>
void gemm(const Gemm<T>& g) {
  if (g.m <= 0 || g.n <= 0) return;
  if (std::min(g.m, g.n) <= kSmallSide || g.k == 0) return gemm_small(g);
#if GMAIL_CBLAS
  if (gemm_cblas(g)) return;
#endif
  const int64_t nr = gemm_kernels<T>().nr, rest = g.n % nr;
  if (rest == 0 || rest > 2 || g.n < nr) return multiply(g);
  // one or two columns beyond the last whole tile would cost half a tile: they are dot products
  Gemm<T> tiles = g, columns = g;
  tiles.n = g.n - rest;
  columns.n = rest;
  columns.b += tiles.n * (g.trans_b ? g.ldb : 1);
  columns.c += tiles.n;
  if (g.c_in) columns.c_in += tiles.n;
  if (g.bias) columns.bias += tiles.n;
  multiply(tiles);
  gemm_small(columns);
}

template void gemm(const Gemm<float>&);
template void gemm(const Gemm<double>&);
template int64_t packed_size<float>(int64_t, int64_t);
template int64_t packed_size<double>(int64_t, int64_t);
template void pack_b(float*, const float*, int64_t, bool, int64_t, int64_t);
template void pack_b(double*, const double*, int64_t, bool, int64_t, int64_t);

}  // namespace gmail::cpu

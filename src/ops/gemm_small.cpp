// Products with few rows (one decoding step, a small batch) or few columns (a low-rank adapter). They are
// bound by reading the large operand once. C^T = op(B)^T op(A)^T turns few columns into few rows; what is
// left is
//   dot      the large operand is (n, k): every element of C is a dot product of two contiguous vectors
//   columns  the large operand is (k, n): tiles of C with the operand read in place
#include <algorithm>

#include "core/arena.h"
#include "core/parallel_for.h"
#include "ops/gemm_internal.h"
#include "ops/gemm_select.h"

namespace gmail::cpu {
namespace {

constexpr int64_t kTaskWork = 64 * 1024;  // multiply-adds in a task, about

// (m, n) = op(A) op(B), m <= kSmallSide, without the epilogue.
template <class T>
struct Small {
  int64_t m, n, k;
  const T* a;
  int64_t lda;
  bool trans_a;
  const T* b;
  int64_t ldb;
  bool trans_b;
};

template <class T>
T epilogue(const Gemm<T>& g, T sum, int64_t i, int64_t j) {
  T v = g.alpha * sum;
  if (g.beta != T(0)) v += g.beta * (g.c_in ? g.c_in[i * g.ld_in + j] : g.c[i * g.ldc + j]);
  return g.bias ? v + g.bias[j] : v;
}

// A with element (i, k) at out[i * row + k * column].
template <class T>
void copy_a(T* out, int64_t row, int64_t column, const Small<T>& s) {
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t k = 0; k < s.k; ++k)
      out[i * row + k * column] = s.trans_a ? s.a[k * s.lda + i] : s.a[i * s.lda + k];
}

template <class T>
void dot_products(const Gemm<T>& g, const Small<T>& s, bool swapped) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const Scratch<T> copy(s.trans_a ? s.m * s.k : 0);
  if (s.trans_a) copy_a(copy.data(), s.k, 1, s);
  const T* const a = s.trans_a ? copy.data() : s.a;
  const int64_t lda = s.trans_a ? s.k : s.lda, step = kernels.dot_n;
  const int64_t grain = step * std::max<int64_t>(1, kTaskWork / std::max<int64_t>(1, s.m * s.k * step));
  parallel_for(s.n, grain, [&](int64_t begin, int64_t end) {
    T sums[kSmallSide * 16];
    for (int64_t j0 = begin; j0 < end; j0 += step) {
      const int64_t n = std::min(step, end - j0);
      kernels.dot[s.m - 1](sums, a, lda, s.b + j0 * s.ldb, s.ldb, n, s.k);
      for (int64_t i = 0; i < s.m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          const int64_t row = swapped ? j0 + j : i, column = swapped ? i : j0 + j;
          g.c[row * g.ldc + column] = epilogue(g, sums[i * step + j], row, column);
        }
    }
  });
}

// One panel of at most nr columns, in steps of k that keep A in the first-level cache.
template <class T>
void column_panel(const GemmKernels<T>& kernels, const Small<T>& s, const T* a, T* out, int64_t ld_out,
                  int64_t j0, int64_t n) {
  constexpr int64_t kDepth = 256;
  const bool half = n <= kernels.nr / 2;
  const int64_t width = half ? kernels.nr / 2 : kernels.nr;
  const Scratch<T> edge(n == width ? 0 : width * std::min(kDepth, s.k));
  for (int64_t k0 = 0; k0 < s.k; k0 += kDepth) {
    GemmTile<T> tile;
    const int64_t kc = std::min(kDepth, s.k - k0);
    tile.b = s.b + k0 * s.ldb + j0;
    tile.ldb = s.ldb;
    if (n != width) {  // a vector would read past the end of the row
      kernels.pack(edge.data(), width, tile.b, s.ldb, n, kc);
      tile.b = edge.data();
      tile.ldb = width;
    }
    tile.n = n;
    tile.a_step = s.m;
    tile.beta = 1;
    tile.ldc = tile.ld_in = ld_out;
    for (int64_t i = 0; i < s.m; i += kernels.mr) {
      const int64_t rows = std::min<int64_t>(kernels.mr, s.m - i);
      const GemmRun<T> run{a + k0 * s.m + i, 0, kc};
      tile.runs = &run;
      tile.c = out + i * ld_out;
      tile.c_in = k0 == 0 ? nullptr : tile.c;
      (half ? kernels.cols_half : kernels.cols_full)[rows - 1](tile);
    }
  }
}

template <class T>
void columns(const Gemm<T>& g, const Small<T>& s, bool swapped) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const Scratch<T> a(s.m * s.k);
  copy_a(a.data(), 1, s.m, s);
  const int64_t nr = kernels.nr, panels = (s.n + nr - 1) / nr;
  const int64_t grain = std::max<int64_t>(1, kTaskWork / std::max<int64_t>(1, s.m * s.k * nr));
  parallel_for(panels, grain, [&](int64_t begin, int64_t end) {
    const Scratch<T> sums(s.m * nr);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t j0 = p * nr, n = std::min(nr, s.n - j0);
      column_panel(kernels, s, a.data(), sums.data(), nr, j0, n);
      for (int64_t i = 0; i < s.m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          const int64_t row = swapped ? j0 + j : i, column = swapped ? i : j0 + j;
          g.c[row * g.ldc + column] = epilogue(g, sums[i * nr + j], row, column);
        }
    }
  });
}

}  // namespace

template <class T>
void gemm_small(const Gemm<T>& g) {
  if (g.k == 0) {
    for (int64_t i = 0; i < g.m; ++i)
      for (int64_t j = 0; j < g.n; ++j) g.c[i * g.ldc + j] = epilogue(g, T(0), i, j);
    return;
  }
  const bool swapped = g.m > kSmallSide;
  const Small<T> s = swapped ? Small<T>{g.n, g.m, g.k, g.b, g.ldb, !g.trans_b, g.a, g.lda, !g.trans_a}
                             : Small<T>{g.m, g.n, g.k, g.a, g.lda, g.trans_a, g.b, g.ldb, g.trans_b};
  if (s.trans_b)
    dot_products(g, s, swapped);
  else
    columns(g, s, swapped);
}

template void gemm_small(const Gemm<float>&);
template void gemm_small(const Gemm<double>&);

}  // namespace gmail::cpu

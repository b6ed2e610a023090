// Eq. (3) of conv2d.h: a product of x^T and dy for each tap, with both read where they are.
#include <algorithm>

#include "core/parallel_for.h"
#include "ops/conv2d_grid.h"
#include "ops/gemm.h"
#include "ops/gemm_select.h"

namespace gmail::cpu::conv {
namespace {

// The source pixels of one tap for the output rows [row0, row1), as runs along the rows of the image. Pixels
// outside the image have no part in the sum.
template <class T>
void find_runs(std::vector<GemmRun<T>>& runs, const Grid& g, const T* x, size_t tap, int64_t row0,
               int64_t row1) {
  runs.clear();
  const int64_t dw = g.dw[tap];
  const int64_t v0 = dw < 0 ? (-dw + g.step - 1) / g.step : 0;
  const int64_t v1 = dw < g.W ? std::min(g.V, (g.W - 1 - dw) / g.step + 1) : 0;
  if (v0 >= v1) return;
  for (int64_t row = row0; row < row1; ++row) {
    const int64_t b = row / g.U, h = row % g.U * g.step + g.dh[tap];
    if (h < 0 || h >= g.H) continue;
    runs.push_back({x + ((b * g.H + h) * g.W + v0 * g.step + dw) * g.C, (row - row0) * g.V + v0, v1 - v0});
  }
}

// Eq. (3): the sums of dW^T (taps * width, O), added to for one piece of the output rows after the other, in
// order.
template <class T>
class WeightGradient {
 public:
  WeightGradient(const Grid& grid, const T* x, const T* dy, int64_t n)
      : g_(grid),
        kernels_(gemm_kernels<T>()),
        x_(x),
        dy_(dy),
        n_(n),
        in_place_(n % (kernels_.nr / 2) == 0),
        piece_(std::max<int64_t>(1, kDepth<T> / g_.V)) {}

  void run(T* sums) const {
    const int64_t rows = g_.B * g_.U, strips = (g_.width + kernels_.mr - 1) / kernels_.mr;
    const int64_t row_bytes = g_.V * (n_ + g_.C) * static_cast<int64_t>(sizeof(T));
    const int64_t chunk =
        std::max<int64_t>(1, 786'432 / row_bytes / piece_) * piece_;  // stays in the second-level cache
    const Scratch<T> packed(in_place_ ? 0 : packed_size<T>(std::min(chunk, rows) * g_.V, n_));
    std::fill_n(sums, g_.depth() * n_, T(0));
    for (int64_t row0 = 0; row0 < rows; row0 += chunk) {
      const int64_t row1 = std::min(rows, row0 + chunk);
      if (!in_place_) pack_b<T>(packed.data(), dy_ + row0 * g_.V * n_, n_, false, (row1 - row0) * g_.V, n_);
      parallel_for(g_.taps() * strips, 1, [&](int64_t begin, int64_t end) {
        std::vector<GemmRun<T>> runs;
        for (int64_t task = begin; task < end; ++task)
          for (int64_t row = row0; row < row1; row += piece_) {
            find_runs(runs, g_, x_, static_cast<size_t>(task / strips), row, std::min(row1, row + piece_));
            add(sums, runs, in_place_ ? nullptr : packed.data(), {task / strips, task % strips, strips},
                {row0, row1, row});
          }
      });
    }
  }

 private:
  struct Place {
    int64_t tap, strip, strips;
  };
  struct Rows {
    int64_t row0, row1, row;  // of the chunk, and where the runs begin
  };

  void add(T* sums, const std::vector<GemmRun<T>>& runs, const T* packed, Place at, Rows rows) const {
    const int64_t i0 = at.strip * g_.width / at.strips, m = (at.strip + 1) * g_.width / at.strips - i0;
    const int64_t nr = kernels_.nr;
    GemmTile<T> tile;
    tile.runs = runs.data();
    tile.run_count = static_cast<int64_t>(runs.size());
    tile.a_offset = i0;
    tile.a_step = g_.step * g_.C;
    tile.beta = 1;
    tile.ldc = tile.ld_in = n_;
    for (int64_t j = 0; j < n_; j += nr) {
      const bool half = n_ - j <= nr / 2;
      const int64_t width = half ? nr / 2 : nr;
      tile.ldb = in_place_ ? n_ : width;
      tile.b = in_place_
                   ? dy_ + rows.row * g_.V * n_ + j
                   : packed + j * (rows.row1 - rows.row0) * g_.V + (rows.row - rows.row0) * g_.V * width;
      tile.c = sums + (at.tap * g_.width + i0) * n_ + j;
      tile.c_in = tile.c;
      tile.n = std::min(width, n_ - j);
      (half ? kernels_.cols_half : kernels_.cols_full)[m - 1](tile);
    }
  }

  const Grid& g_;
  const GemmKernels<T>& kernels_;
  const T *x_, *dy_;
  int64_t n_;
  bool in_place_;  // else dy is packed: a vector would read past the end of a row
  int64_t piece_;  // output rows whose pixels of x stay in the first-level cache
};

}  // namespace

template <class T>
void weight_gradient(GradWriter<T> dw, const T* dy, const T* x, const Sizes& s) {
  const Grid grid = forward_grid(s);
  const int64_t taps = s.kh * s.kw;
  const Scratch<T> sums(grid.depth() * s.O);
  WeightGradient<T>(grid, x, dy, s.O).run(sums.data());
  for (int64_t o = 0; o < s.O; ++o)
    for (int64_t i = 0; i < s.I; ++i)
      for (int64_t t = 0; t < taps; ++t) dw.put((o * s.I + i) * taps + t, sums[(t * s.I + i) * s.O + o]);
}

template void weight_gradient(GradWriter<float>, const float*, const float*, const Sizes&);
template void weight_gradient(GradWriter<double>, const double*, const double*, const Sizes&);

}  // namespace gmail::cpu::conv

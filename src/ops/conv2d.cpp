// All three products of a convolution run on the tiles of the matrix product without a copy of x for every
// tap: a tile's rows are pixels, and each tap (p, q) is a list of pointers to the pixels that it meets
// (Dukhan 2019, "The indirect convolution algorithm", arXiv:1907.02129). Pixels outside the image are a row
// of zeros.
#include "ops/conv2d.h"

#include <algorithm>
#include <vector>

#include "core/kept_copy.h"
#include "core/parallel_for.h"
#include "ops/conv2d_grid.h"
#include "ops/gemm.h"
#include "ops/gemm_select.h"
#include "ops/linear.h"

namespace gmail {

Shape conv2d_shape(const Shape& x, const Shape& w, int stride, int pad) {
  GMAIL_CHECK(x.rank() == 4 && w.rank() == 4 && x[3] == w[1],
              "[conv2d] expected x (B, H, W, I) and w (O, I, kh, kw), got ", x, " and ", w);
  GMAIL_CHECK(stride >= 1 && pad >= 0 && x[1] + 2 * pad >= w[2] && x[2] + 2 * pad >= w[3], "[conv2d] x ", x,
              ", padded by ", pad, ", is smaller than the kernel ", w);
  return {x[0], (x[1] + 2 * pad - w[2]) / stride + 1, (x[2] + 2 * pad - w[3]) / stride + 1, w[0]};
}

namespace cpu {
namespace {

using namespace conv;

Sizes sizes_of(const Shape& x, const Shape& w, int stride, int pad) {
  const Shape y = conv2d_shape(x, w, stride, pad);
  return {x[0], x[1], x[2], x[3], w[0], w[2], w[3], y[1], y[2], stride, pad};
}

struct Pixel {
  int64_t b, u, v;
};
Pixel pixel(const Grid& g, int64_t p) { return {p / (g.U * g.V), p / g.V % g.U, p % g.V}; }
void advance(const Grid& g, Pixel& p) {
  if (++p.v < g.V) return;
  p.v = 0;
  if (++p.u == g.U) p.u = 0, ++p.b;
}

template <class T>
const T* source(const Grid& g, const T* x, const T* zeros, const Pixel& p, size_t tap) {
  const int64_t h = p.u * g.step + g.dh[tap], w = p.v * g.step + g.dw[tap];
  return h < 0 || h >= g.H || w < 0 || w >= g.W ? zeros : x + ((p.b * g.H + h) * g.W + w) * g.C;
}

// out (pixels, n) = taps of x times the packed matrix (taps * width, n).
template <class T>
class Correlation {
 public:
  Correlation(const Grid& grid, const T* x, const T* packed, int64_t n, const T* bias)
      : g_(grid),
        kernels_(gemm_kernels<T>()),
        x_(x),
        packed_(packed),
        n_(n),
        bias_(bias),
        zeros_(grid.width) {
    std::fill_n(zeros_.data(), grid.width, T(0));
  }

  void run(GradWriter<T> out) const {
    const int64_t strips = (g_.pixels() + kernels_.mr - 1) / kernels_.mr;
    const int64_t work = kernels_.mr * g_.depth() * n_;
    const int64_t grain = std::clamp<int64_t>(2'000'000 / std::max<int64_t>(1, work), 1, 16);
    parallel_for(strips, grain, [&](int64_t begin, int64_t end) {
      std::vector<const T*> rows(static_cast<size_t>((end - begin) * kernels_.mr * g_.taps()));
      for (int64_t s = begin; s < end; ++s) find_rows(strip_rows(rows, s - begin), s, strips);
      const bool dense = g_.out_step == 1;
      const Scratch<T> scratch(dense ? 0 : (end - begin) * kernels_.mr * n_);
      const int64_t first = begin * g_.pixels() / strips;
      T* const c = dense ? out.p + first * n_ : scratch.data();
      if (g_.taps() == 0)
        std::fill_n(c, (end - begin) * kernels_.mr * n_, T(0));  // stride > kernel: nothing meets it
      for (int64_t j = 0; j < n_; j += kColumns<T>)
        for_each_depth([&](int64_t tap, int64_t taps, int64_t at, int64_t kc) {
          for (int64_t s = begin; s < end; ++s)
            strip(c, dense && out.add, strip_rows(rows, s - begin), first, s * g_.pixels() / strips,
                  (s + 1) * g_.pixels() / strips, j, tap, taps, at, kc);
        });
      if (!dense) scatter(out, c, first, end * g_.pixels() / strips);
    });
  }

 private:
  const T** strip_rows(std::vector<const T*>& rows, int64_t s) const {
    return rows.data() + s * kernels_.mr * g_.taps();
  }

  void find_rows(const T** rows, int64_t s, int64_t strips) const {
    const int64_t i0 = s * g_.pixels() / strips, m = (s + 1) * g_.pixels() / strips - i0;
    Pixel p = pixel(g_, i0);
    for (int64_t i = 0; i < m; ++i, advance(g_, p))
      for (size_t tap = 0; tap < g_.dh.size(); ++tap)
        rows[static_cast<int64_t>(tap) * m + i] = source(g_, x_, zeros_.data(), p, tap);
  }

  // Cuts the depth into whole taps if several fit, else each tap into pieces: f(tap, taps, element of the
  // tap, kc).
  template <class F>
  void for_each_depth(F&& f) const {
    if (g_.width <= kDepth<T>) {
      const int64_t group = kDepth<T> / g_.width;
      for (int64_t tap = 0; tap < g_.taps(); tap += group)
        f(tap, std::min(group, g_.taps() - tap), 0, g_.width);
      return;
    }
    const int64_t pieces = (g_.width + kDepth<T> - 1) / kDepth<T>;
    for (int64_t tap = 0; tap < g_.taps(); ++tap)
      for (int64_t piece = 0; piece < pieces; ++piece) {
        const int64_t at = piece * g_.width / pieces;
        f(tap, 1, at, (piece + 1) * g_.width / pieces - at);
      }
  }

  void strip(T* c, bool add, const T* const* rows, int64_t first, int64_t i0, int64_t i1, int64_t j0,
             int64_t tap, int64_t taps, int64_t at, int64_t kc) const {
    const int64_t m = i1 - i0, nr = kernels_.nr, k = tap * g_.width + at;
    GemmTile<T> tile;
    tile.rows = rows + tap * m;
    tile.taps = taps;
    tile.a_offset = at;
    tile.kc = kc;
    tile.beta = 1;
    tile.ldc = tile.ld_in = n_;
    for (int64_t j = j0; j < std::min(n_, j0 + kColumns<T>); j += nr) {
      const bool half = n_ - j <= nr / 2;
      const int64_t width = half ? nr / 2 : nr;
      tile.b = packed_ + j * g_.depth() + k * width;
      tile.ldb = width;
      tile.c = c + (i0 - first) * n_ + j;
      tile.c_in = k > 0 || add ? tile.c : nullptr;
      tile.bias = bias_ && k == 0 ? bias_ + j : nullptr;
      tile.n = std::min(width, n_ - j);
      (half ? kernels_.rows_half : kernels_.rows_full)[m - 1](tile);
    }
  }

  void scatter(GradWriter<T> out, const T* c, int64_t p0, int64_t p1) const {
    Pixel p = pixel(g_, p0);
    for (int64_t i = p0; i < p1; ++i, c += n_, advance(g_, p)) {
      const int64_t h = p.u * g_.out_step + g_.out_h, w = p.v * g_.out_step + g_.out_w;
      const int64_t at = ((p.b * g_.out_H + h) * g_.out_W + w) * n_;
      for (int64_t j = 0; j < n_; ++j) out.put(at + j, c[j]);
    }
  }

  const Grid& g_;
  const GemmKernels<T>& kernels_;
  const T* x_;
  const T* packed_;
  int64_t n_;
  const T* bias_;
  Scratch<T> zeros_;
};

// w as (taps, I; O), packed: panels of outputs are transposed, then their rows put in the order of the taps.
template <class T>
void pack_forward(T* packed, const T* w, const Sizes& s) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const int64_t taps = s.kh * s.kw, depth = taps * s.I, nr = kernels.nr;
  parallel_for(
      (s.O + nr - 1) / nr, std::max<int64_t>(1, 16384 / (depth * nr)), [&](int64_t begin, int64_t end) {
        const Scratch<T> rows(depth * nr);
        for (int64_t j = begin * nr; j < std::min(s.O, end * nr); j += nr) {
          const int64_t width = s.O - j <= nr / 2 ? nr / 2 : nr;
          kernels.pack_transposed(rows.data(), width, w + j * depth, depth, std::min(width, s.O - j), depth);
          T* const panel = packed + j * depth;
          for (int64_t i = 0; i < s.I; ++i)
            for (int64_t t = 0; t < taps; ++t)
              std::copy_n(rows.data() + (i * taps + t) * width, width, panel + (t * s.I + i) * width);
        }
      });
}

template <class T>
void forward(T* y, const T* x, const Tensor& w, const T* b, const Sizes& s) {
  const Grid grid = forward_grid(s);
  const int64_t size = packed_size<T>(grid.depth(), s.O);
  Tensor kept = kept_copy(w, "packed for conv2d", w.dtype(), [&] {
    Tensor made = Tensor::empty({size}, w.dtype());
    pack_forward(made.data<T>(), w.data<T>(), s);
    return made;
  });
  const Scratch<T> scratch(kept ? 0 : size);
  if (!kept) pack_forward(scratch.data(), w.data<T>(), s);
  GradWriter<T> out{Grad{}};
  out.p = y;
  Correlation<T>(grid, x, kept ? kept.data<T>() : scratch.data(), s.O, b).run(out);
}

// w as (chosen taps, O; I), packed.
template <class T>
void pack_backward(T* packed, const T* w, const std::vector<int64_t>& chosen, const Sizes& s) {
  const int64_t nr = gemm_kernels<T>().nr, taps = s.kh * s.kw,
                depth = static_cast<int64_t>(chosen.size()) * s.O;
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, depth * nr));
  parallel_for((s.I + nr - 1) / nr, grain, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin * nr; j < std::min(s.I, end * nr); j += nr) {
      const int64_t width = s.I - j <= nr / 2 ? nr / 2 : nr, n = std::min(width, s.I - j);
      T* row = packed + j * depth;
      for (const int64_t t : chosen)
        for (int64_t o = 0; o < s.O; ++o, row += width) {
          for (int64_t i = 0; i < n; ++i) row[i] = w[(o * s.I + j + i) * taps + t];
          std::fill(row + n, row + width, T(0));
        }
    }
  });
}

// Eq. (2) is a convolution of dy for each residue (h mod stride, w mod stride): only the taps that divide
// take part.
template <class T>
void backward_x(GradWriter<T> dx, const T* dy, const T* w, const Sizes& s) {
  const Scratch<T> packed(packed_size<T>(s.kh * s.kw * s.O, s.I));
  for (int64_t h = 0; h < std::min(s.stride, s.H); ++h)
    for (int64_t c = 0; c < std::min(s.stride, s.W); ++c) {
      Grid g{s.B,
             (s.H - h + s.stride - 1) / s.stride,
             (s.W - c + s.stride - 1) / s.stride,
             s.Ho,
             s.Wo,
             s.O,
             1,
             s.O,
             {},
             {},
             s.H,
             s.W,
             s.stride,
             h,
             c};
      std::vector<int64_t> chosen;
      for (int64_t p = (h + s.pad) % s.stride; p < s.kh; p += s.stride)
        for (int64_t q = (c + s.pad) % s.stride; q < s.kw; q += s.stride) {
          chosen.push_back(p * s.kw + q);
          g.dh.push_back((h + s.pad - p) / s.stride);
          g.dw.push_back((c + s.pad - q) / s.stride);
        }
      pack_backward(packed.data(), w, chosen, s);
      Correlation<T>(g, dy, packed.data(), s.I, nullptr).run(dx);
    }
}

}  // namespace

void conv2d_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, int stride, int pad) {
  const Sizes s = sizes_of(x.shape(), w.shape(), stride, pad);
  GMAIL_CHECK(!b || b.shape() == Shape{s.O}, "[conv2d] bias must be (", s.O, "), got ", b.shape());
  GMAIL_CHECK(y.shape() == (Shape{s.B, s.Ho, s.Wo, s.O}), "[conv2d] y ", y.shape(), " for x ", x.shape(),
              ", w ", w.shape());
  if (s.pointwise()) return linear_forward(y, x, w.reshape({s.O, s.I}), b, Tensor(), 1);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    forward<T>(y.data<T>(), x.data<T>(), w, b ? b.data<T>() : nullptr, s);
  });
}

void conv2d_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                     int stride, int pad) {
  const Sizes s = sizes_of(x ? x.shape() : dx.t.shape(), w.shape(), stride, pad);
  const Tensor matrix = w.reshape({s.O, s.I * s.kh * s.kw});
  if (s.pointwise()) return linear_backward(dx, dw, db, dy, x, matrix, 1);
  if (db) linear_backward({}, {}, db, dy, x, matrix, 1);
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (dx) backward_x<T>(GradWriter<T>(dx), dy.data<T>(), w.data<T>(), s);
    if (dw) weight_gradient<T>(GradWriter<T>(dw), dy.data<T>(), x.data<T>(), s);
  });
}

}  // namespace cpu
}  // namespace gmail

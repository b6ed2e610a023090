// All three products of a convolution run on the tiles of the matrix product without a copy of x for every
// tap: a tile's rows are pixels, and each tap (p, q) is a list of pointers to the pixels that it meets
// (Dukhan 2019, "The indirect convolution algorithm", arXiv:1907.02129). Pixels outside the image are a row
// of zeros.
#include "ops/conv2d.h"

#include <algorithm>
#include <vector>

#include "core/parallel_for.h"
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

struct Sizes {
  int64_t B, H, W, I, O, kh, kw, Ho, Wo, stride, pad;
  [[nodiscard]] bool pointwise() const { return kh == 1 && kw == 1 && stride == 1 && pad == 0; }
};

Sizes sizes_of(const Shape& x, const Shape& w, int stride, int pad) {
  const Shape y = conv2d_shape(x, w, stride, pad);
  return {x[0], x[1], x[2], x[3], w[0], w[2], w[3], y[1], y[2], stride, pad};
}

// A grid of output pixels (u, v) and the source pixels that they meet: (u step + dh, v step + dw) for each
// tap, `width` consecutive elements from there. The result of (u, v) belongs to pixel (u out_step + out_h, v
// out_step + out_w).
struct Grid {
  int64_t B, U, V;
  int64_t H, W, C;  // source
  int64_t step, width;
  std::vector<int64_t> dh, dw;
  int64_t out_H, out_W, out_step, out_h, out_w;
  [[nodiscard]] int64_t taps() const { return static_cast<int64_t>(dh.size()); }
  [[nodiscard]] int64_t pixels() const { return B * U * V; }
  [[nodiscard]] int64_t depth() const { return taps() * width; }
};

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

// The taps of eq. (1). Without padding a row of the kernel meets consecutive memory and is one tap.
Grid forward_grid(const Sizes& s) {
  Grid g{s.B, s.Ho, s.Wo, s.H, s.W, s.I, s.stride, s.I, {}, {}, s.Ho, s.Wo, 1, 0, 0};
  if (s.pad == 0) g.width = s.kw * s.I;
  for (int64_t p = 0; p < s.kh; ++p)
    for (int64_t q = 0; q < (s.pad == 0 ? 1 : s.kw); ++q)
      g.dh.push_back(p - s.pad), g.dw.push_back(q - s.pad);
  return g;
}

// Columns of the packed matrix at one time, so that a block of it stays in the second-level cache.
template <class T>
constexpr int64_t kColumns = 1536 / static_cast<int64_t>(sizeof(T));
template <class T>
constexpr int64_t kDepth = 1280 / static_cast<int64_t>(sizeof(T));

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

// w as (taps, I; O), packed.
template <class T>
void pack_forward(T* packed, const T* w, const Sizes& s) {
  const int64_t taps = s.kh * s.kw;
  const Scratch<T> rows(s.O * taps * s.I);
  for (int64_t o = 0; o < s.O; ++o)
    for (int64_t i = 0; i < s.I; ++i)
      for (int64_t t = 0; t < taps; ++t) rows[(o * taps + t) * s.I + i] = w[(o * s.I + i) * taps + t];
  pack_b<T>(packed, rows.data(), taps * s.I, true, taps * s.I, s.O);
}

template <class T>
void forward(T* y, const T* x, const Tensor& w, const T* b, const Sizes& s) {
  const Grid grid = forward_grid(s);
  const int64_t size = packed_size<T>(grid.depth(), s.O);
  const auto kept =
      kept_copy<T>(w, WeightForm::conv, size, [&](T* out) { pack_forward(out, w.data<T>(), s); });
  const Scratch<T> scratch(kept ? 0 : size);
  if (!kept) pack_forward(scratch.data(), w.data<T>(), s);
  GradWriter<T> out{Grad{}};
  out.p = y;
  Correlation<T>(grid, x, kept ? kept.get() : scratch.data(), s.O, b).run(out);
}

// Eq. (2) is a convolution of dy for each residue (h mod stride, w mod stride): only the taps that divide
// take part.
template <class T>
void backward_x(GradWriter<T> dx, const T* dy, const T* w, const Sizes& s) {
  const int64_t taps = s.kh * s.kw;
  const Scratch<T> rows(taps * s.O * s.I), packed(packed_size<T>(taps * s.O, s.I));
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
      for (int64_t p = (h + s.pad) % s.stride; p < s.kh; p += s.stride)
        for (int64_t q = (c + s.pad) % s.stride; q < s.kw; q += s.stride) {
          T* const block = rows.data() + g.depth() * s.I;  // (O, I) of this tap
          for (int64_t o = 0; o < s.O; ++o)
            for (int64_t i = 0; i < s.I; ++i) block[o * s.I + i] = w[(o * s.I + i) * taps + p * s.kw + q];
          g.dh.push_back((h + s.pad - p) / s.stride);
          g.dw.push_back((c + s.pad - q) / s.stride);
        }
      pack_b<T>(packed.data(), rows.data(), s.I, false, g.depth(), s.I);
      Correlation<T>(g, dy, packed.data(), s.I, nullptr).run(dx);
    }
}

// Rows of A for eq. (3): element i of strip [i0, i0 + m) at the pixels [p0, p0 + kc), one tap.
template <class T>
void gather(T* a, const Grid& g, const T* x, const T* zeros, size_t tap, int64_t i0, int64_t m, int64_t p0,
            int64_t kc) {
  Pixel p = pixel(g, p0);
  for (int64_t k = 0; k < kc; ++k, a += m, advance(g, p)) {
    const T* from = source(g, x, zeros, p, tap) + i0;
    for (int64_t i = 0; i < m; ++i) a[i] = from[i];
  }
}

// Eq. (3), one strip of rows of dW (taps * width, O) at a time; the pixels are summed in order.
template <class T>
void backward_w(GradWriter<T> dw, const T* dy, const T* x, const Sizes& s) {
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const Grid g = forward_grid(s);
  const int64_t strips = (g.width + kernels.mr - 1) / kernels.mr, nr = kernels.nr, taps = s.kh * s.kw;
  const int64_t chunk =
      std::min(g.pixels(), std::max<int64_t>(1, (8 << 20) / s.O / 8 / kDepth<T>) * kDepth<T>);
  const Scratch<T> packed(packed_size<T>(chunk, s.O)), sums(g.depth() * s.O), zeros(g.width);
  std::fill_n(zeros.data(), g.width, T(0));
  std::fill_n(sums.data(), g.depth() * s.O, T(0));
  for (int64_t p0 = 0; p0 < g.pixels(); p0 += chunk) {
    const int64_t length = std::min(chunk, g.pixels() - p0);
    pack_b<T>(packed.data(), dy + p0 * s.O, s.O, false, length, s.O);
    parallel_for(g.taps() * strips, 1, [&](int64_t begin, int64_t end) {
      const Scratch<T> a(kernels.mr * kDepth<T>);
      for (int64_t task = begin; task < end; ++task) {
        const int64_t tap = task / strips, i0 = task % strips * g.width / strips;
        const int64_t m = (task % strips + 1) * g.width / strips - i0;
        for (int64_t p = 0; p < length; p += kDepth<T>) {
          GemmTile<T> tile;
          tile.kc = std::min(kDepth<T>, length - p);
          gather(a.data(), g, x, zeros.data(), static_cast<size_t>(tap), i0, m, p0 + p, tile.kc);
          tile.a = a.data();
          tile.a_step = m;
          tile.beta = 1;
          tile.ldc = tile.ld_in = s.O;
          for (int64_t j = 0; j < s.O; j += nr) {
            const bool half = s.O - j <= nr / 2;
            tile.ldb = half ? nr / 2 : nr;
            tile.b = packed.data() + j * length + p * tile.ldb;
            tile.c = sums.data() + (tap * g.width + i0) * s.O + j;
            tile.c_in = tile.c;
            tile.n = std::min(tile.ldb, s.O - j);
            (half ? kernels.cols_half : kernels.cols_full)[m - 1](tile);
          }
        }
      }
    });
  }
  for (int64_t o = 0; o < s.O; ++o)
    for (int64_t i = 0; i < s.I; ++i)
      for (int64_t t = 0; t < taps; ++t) dw.put((o * s.I + i) * taps + t, sums[(t * s.I + i) * s.O + o]);
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
    if (dw) backward_w<T>(GradWriter<T>(dw), dy.data<T>(), x.data<T>(), s);
  });
}

}  // namespace cpu
}  // namespace gmail

#include "ops/geglu.h"

#include "ops/activation_math.h"
#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail {

RowSizes geglu_sizes(const Tensor& x, const Tensor& y) {
  GMAIL_CHECK(x.rank() >= 1 && x.size(-1) % 2 == 0, "[geglu] the last dimension of x must be even, got ",
              x.shape());
  const int64_t C = x.size(-1) / 2;
  GMAIL_CHECK(y.shape() == x.shape().with(-1, C), "[geglu] x ", x.shape(), " does not give ", y.shape());
  return {C == 0 ? 0 : y.numel() / C, C};
}

namespace cpu {
namespace {

using Sizes = RowSizes;

template <class T>
GMAIL_WIDEST void forward_piece(T* y, const T* v, const T* g, int64_t begin, int64_t end) {
  GMAIL_SIMD
  for (int64_t c = begin; c < end; ++c) y[c] = v[c] * GeluErf::value(g[c]);  // eq. (1)
}

template <class T>
void forward(T* y, const T* x, Sizes s) {
  parallel_pieces(s.N, s.C, [=](int64_t n, int64_t begin, int64_t end) {
    const T* v = x + 2 * n * s.C;
    forward_piece(y + n * s.C, v, v + s.C, begin, end);
  });
}

// row n
template <class T, class Writer>
GMAIL_WIDEST void backward_piece(Writer dx, const T* dy, const T* x, int64_t n, int64_t C, int64_t begin,
                                 int64_t end) {
  const int64_t at = 2 * n * C;
  const T *v = x + at, *g = v + C, *dyn = dy + n * C;
  GMAIL_SIMD
  for (int64_t c = begin; c < end; ++c) {
    const Normal<T> gate = vnormal(g[c]);
    dx.put(at + c, dyn[c] * g[c] * gate.Phi);  // eq. (2)
    dx.put(at + C + c, dyn[c] * v[c] * (gate.Phi + g[c] * gate.phi));
  }
}

template <class T>
void backward(GradWriter<T> dx, const T* dy, const T* x, Sizes s) {
  with_writer(dx, [=](auto out) {
    parallel_pieces(s.N, s.C, [=](int64_t n, int64_t begin, int64_t end) {
      backward_piece(out, dy, x, n, s.C, begin, end);
    });
  });
}

}  // namespace

void geglu_forward(Tensor& y, const Tensor& x) {
  const Sizes s = geglu_sizes(x, y);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    forward<T>(y.data<T>(), x.data<T>(), s);
  });
}

void geglu_backward(Grad dx, const Tensor& dy, const Tensor& x) {
  if (!dx) return;
  const Sizes s = geglu_sizes(x, dy);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    backward<T>(GradWriter<T>(dx), dy.data<T>(), x.data<T>(), s);
  });
}

}  // namespace cpu
}  // namespace gmail

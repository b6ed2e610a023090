#include "ops/broadcast.h"

#include <vector>

#include "ops/grain.h"
#include "ops/reduce.h"
#include "ops/simd.h"

namespace gmail {

Shape broadcast_shape(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> sizes(static_cast<size_t>(rank));
  for (int i = 1; i <= rank; ++i) {
    const int64_t m = i <= a.rank() ? a[-i] : 1, n = i <= b.rank() ? b[-i] : 1;
    GMAIL_CHECK(m == n || m == 1 || n == 1, "[broadcast] shapes do not go together: ", a, " and ", b);
    sizes[static_cast<size_t>(rank - i)] = m == 1 ? n : m;
  }
  return Shape(sizes);
}

BroadcastPlan broadcast_plan(const Shape& y, const Shape& a, const Shape& b) {
  GMAIL_CHECK(broadcast_shape(a, b) == y, "[broadcast] ", a, " and ", b, " do not give ", y);
  BroadcastPlan p;
  std::array<bool, Shape::kMaxRank> a_kept{}, b_kept{};
  for (int d = 0; d < y.rank(); ++d) {
    if (y[d] == 1) continue;
    const int da = d - y.rank() + a.rank(), db = d - y.rank() + b.rank();
    const bool in_a = da >= 0 && a[da] != 1, in_b = db >= 0 && b[db] != 1;
    const auto last = static_cast<size_t>(p.rank - 1), next = static_cast<size_t>(p.rank);
    if (p.rank > 0 && a_kept[last] == in_a && b_kept[last] == in_b) {
      p.size[last] *= y[d];
      continue;
    }
    p.size[next] = y[d];
    a_kept[next] = in_a;
    b_kept[next] = in_b;
    ++p.rank;
  }
  if (p.rank == 0) p.size[0] = 1, p.rank = 1;
  int64_t stride_a = 1, stride_b = 1;
  for (int d = p.rank - 1; d >= 0; --d) {
    const auto i = static_cast<size_t>(d);
    if (a_kept[i]) p.a[i] = stride_a, stride_a *= p.size[i];
    if (b_kept[i]) p.b[i] = stride_b, stride_b *= p.size[i];
    if (d < p.rank - 1) p.rows *= p.size[i];
  }
  p.width = p.size[static_cast<size_t>(p.rank - 1)];
  return p;
}

namespace cpu {
namespace {

using Plan = BroadcastPlan;

// y (+)= f(a, b). The innermost stride of each side is 0 or 1; the three loops differ only in that.
template <class T, class F>
void combine(GradWriter<T> y, const T* a, const T* b, const Plan& p, F&& f) {
  const auto last = static_cast<size_t>(p.rank - 1);
  parallel_pieces(p.rows, p.width, [&](int64_t row, int64_t begin, int64_t end) {
    int64_t at_a = 0, at_b = 0, rest = row;
    for (size_t d = last; d-- > 0;) {
      const int64_t i = rest % p.size[d];
      rest /= p.size[d];
      at_a += i * p.a[d];
      at_b += i * p.b[d];
    }
    const int64_t at = row * p.width;
    const T *pa = a + at_a, *pb = b + at_b;
    if (p.a[last] != 0 && p.b[last] != 0) {
      GMAIL_SIMD
      for (int64_t i = begin; i < end; ++i) y.put(at + i, f(pa[i], pb[i]));
    } else if (p.a[last] != 0) {
      const T value = *pb;
      GMAIL_SIMD
      for (int64_t i = begin; i < end; ++i) y.put(at + i, f(pa[i], value));
    } else {
      const T value = *pa;
      GMAIL_SIMD
      for (int64_t i = begin; i < end; ++i) y.put(at + i, f(value, p.b[last] != 0 ? pb[i] : *pb));
    }
  });
}

template <class T, class F>
void forward(Tensor& y, const Tensor& a, const Tensor& b, F&& f) {
  combine<T>(GradWriter<T>(Grad{y, false}), a.data<T>(), b.data<T>(),
             broadcast_plan(y.shape(), a.shape(), b.shape()), f);
}

// out (outer, inner) = sum over the middle of in (outer, middle, inner)
template <class T>
void sum_middle(T* out, const T* in, int64_t outer, int64_t middle, int64_t inner) {
  if (inner == 1) {
    parallel_for(outer, rows_per_chunk(middle), [=](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        T sum = 0;
        GMAIL_SIMD_SUM(sum)
        for (int64_t m = 0; m < middle; ++m) sum += in[o * middle + m];
        out[o] = sum;
      }
    });
    return;
  }
  for (int64_t o = 0; o < outer; ++o)
    sum_rows(out + o * inner, middle, inner, [=](int64_t m, T* partial) {
      const T* row = in + (o * middle + m) * inner;
      GMAIL_SIMD
      for (int64_t i = 0; i < inner; ++i) partial[i] += row[i];
    });
}

template <class T>
void write(GradWriter<T> g, const T* x, int64_t n) {
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) {
    GMAIL_SIMD
    for (int64_t i = begin; i < end; ++i) g.put(i, x[i]);
  });
}

// g (+)= R(dy): sums out one run of repeated dimensions after the other, outermost first.
template <class T>
void reduce(Grad g, const T* dy, const Shape& shape) {
  const Plan p = broadcast_plan(shape, shape, g.t.shape());
  std::vector<int64_t> sizes(p.size.begin(), p.size.begin() + p.rank);
  std::vector<T> sum;
  const T* from = dy;
  for (size_t d = 0, kept = 0; d < static_cast<size_t>(p.rank); ++d) {
    if (p.b[d] != 0 || sizes[kept] == 1) {
      ++kept;
      continue;
    }
    int64_t outer = 1, inner = 1;
    for (size_t i = 0; i < kept; ++i) outer *= sizes[i];
    for (size_t i = kept + 1; i < sizes.size(); ++i) inner *= sizes[i];
    std::vector<T> next(static_cast<size_t>(outer * inner));
    sum_middle(next.data(), from, outer, sizes[kept], inner);
    sum = std::move(next);
    from = sum.data();
    sizes.erase(sizes.begin() + static_cast<std::ptrdiff_t>(kept));
  }
  write<T>(GradWriter<T>(g), from, g.t.numel());
}

// R(dy other)
template <class T>
void product_gradient(Grad g, const Tensor& dy, const Tensor& other) {
  const Plan p = broadcast_plan(dy.shape(), dy.shape(), other.shape());
  if (g.t.shape() == dy.shape())
    return combine<T>(GradWriter<T>(g), dy.data<T>(), other.data<T>(), p, [](T u, T v) { return u * v; });
  Tensor product = Tensor::empty(dy.shape(), dy.dtype());
  combine<T>(GradWriter<T>(Grad{product, false}), dy.data<T>(), other.data<T>(), p,
             [](T u, T v) { return u * v; });
  reduce<T>(g, product.data<T>(), dy.shape());
}

}  // namespace

void add_forward(Tensor& y, const Tensor& a, const Tensor& b) {
  with_float_type(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    forward<T>(y, a, b, [](T u, T v) { return u + v; });
  });
}

void add_backward(Grad da, const Tensor& dy) {
  if (!da) return;
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    reduce<T>(da, dy.data<T>(), dy.shape());
  });
}

void mul_forward(Tensor& y, const Tensor& a, const Tensor& b) {
  with_float_type(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    forward<T>(y, a, b, [](T u, T v) { return u * v; });
  });
}

void mul_backward(Grad da, Grad db, const Tensor& dy, const Tensor& a, const Tensor& b) {
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (da) product_gradient<T>(da, dy, b);
    if (db) product_gradient<T>(db, dy, a);
  });
}

void scale_forward(Tensor& y, const Tensor& x, double factor) { scale_backward({y, false}, x, factor); }

void scale_backward(Grad dx, const Tensor& dy, double factor) {
  if (!dx) return;
  GMAIL_CHECK(dx.t.shape() == dy.shape(), "[scale] shapes differ: ", dx.t.shape(), " and ", dy.shape());
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const GradWriter<T> out(dx);
    const T* in = dy.data<T>();
    parallel_for(dy.numel(), kGrain, [=](int64_t begin, int64_t end) {
      GMAIL_SIMD
      for (int64_t i = begin; i < end; ++i) out.put(i, static_cast<T>(factor) * in[i]);
    });
  });
}

void accumulate(Grad g, const Tensor& x) {
  GMAIL_CHECK(g.t.numel() == x.numel(), "[accumulate] ", x.shape(), " into ", g.t.shape());
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    write<T>(GradWriter<T>(g), x.data<T>(), x.numel());
  });
}

}  // namespace cpu
}  // namespace gmail

#include "ops/broadcast.h"

#include "column_sums.cuh"
#include "each.cuh"
#include "rows.cuh"
#include "total.cuh"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

struct Add {
  __device__ static float of(float a, float b) { return a + b; }
};
struct Mul {
  __device__ static float of(float a, float b) { return a * b; }
};

// where element i of y stands in a side whose strides are given (0: repeated)
__device__ int64_t side_index(const BroadcastPlan& p, const std::array<int64_t, Shape::kMaxRank>& strides,
                              int64_t i) {
  int64_t at = 0;
  for (int d = p.rank - 1; d >= 0; --d) {
    at += i % p.size[d] * strides[d];
    i /= p.size[d];
  }
  return at;
}

template <class Op, class T, class A, class B>
__global__ void combine_kernel(DeviceSpan<T> y, DeviceSpan<const A> a, DeviceSpan<const B> b, BroadcastPlan p,
                               int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) y[i] = store<T>(Op::of(load(a[side_index(p, p.a, i)]), load(b[side_index(p, p.b, i)])));
}

// y = a b or a + b, b repeated every `period` elements: a side of equal shape, or a row that all rows share
template <class Op, class T, class B>
struct Repeat {
  static constexpr int kVector = kWide<T> > kWide<B> ? kWide<T> : kWide<B>;
  DeviceSpan<T> y;
  DeviceSpan<const T> a;
  DeviceSpan<const B> b;
  int64_t period;  // 0: never
  template <int K>
  __device__ void at(int64_t i) const {
    const Pack<T, K> u = read_pack<K>(a, i);
    const Pack<B, K> v = read_pack<K>(b, period > 0 ? i % period : i);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = Op::of(u[k], v[k]);
    write_pack<K>(y, i, out);
  }
};

// Does b stand to a whole a as Repeat takes it?
bool repeats(const BroadcastPlan& p, const std::array<int64_t, Shape::kMaxRank>& a,
             const std::array<int64_t, Shape::kMaxRank>& b) {
  if (p.rank == 1) return a[0] == 1 && b[0] == 1;
  return p.rank == 2 && a[0] == p.size[1] && a[1] == 1 && b[0] == 0 && b[1] == 1;
}

// the same 16 bytes at a time; false where that cannot be
template <class Op>
bool combine_wide(Tensor& y, const Tensor& a, const Tensor& b, const BroadcastPlan& p, Stream stream) {
  if (a.dtype() != y.dtype()) return false;
  const int64_t period = p.rank == 2 ? p.size[1] : 0;
  return with_device_type(y.dtype(), [&](auto zy) {
    return with_device_type(b.dtype(), [&](auto zb) {
      using T = decltype(zy);
      using B = decltype(zb);
      const Repeat<Op, T, B> op{span<T>(y), span<T>(a), span<B>(b), period};
      if (period % op.kVector != 0 || !aligned(op.y, op.a, op.b)) return false;
      each<Repeat<Op, T, B>::kVector>(op, y.numel(), true, stream);
      return true;
    });
  });
}

template <class Op>
void combine(Tensor& y, const Tensor& a, const Tensor& b, Stream stream) {
  const BroadcastPlan p = broadcast_plan(y.shape(), a.shape(), b.shape());
  const int64_t n = y.numel();
  if (n == 0) return;
  if (repeats(p, p.a, p.b) && combine_wide<Op>(y, a, b, p, stream)) return;
  if (repeats(p, p.b, p.a) && combine_wide<Op>(y, b, a, p, stream)) return;
  with_device_type(y.dtype(), [&](auto zy) {
    with_device_type(a.dtype(), [&](auto za) {
      with_device_type(b.dtype(), [&](auto zb) {
        launch(stream, combine_kernel<Op, decltype(zy), decltype(za), decltype(zb)>, blocks_for(n, kThreads),
               kThreads, 0, span<decltype(zy)>(y), span<decltype(za)>(a), span<decltype(zb)>(b), p, n);
      });
    });
  });
}

// --- R(f): f summed over what the side repeats ---

// f of a sum: dy itself
template <class T>
struct Plain {
  static constexpr int kVector = kWide<T>;
  DeviceSpan<const T> dy;
  bool wide() const { return aligned(dy); }
  __device__ float operator()(int64_t i) const { return load(dy[i]); }
  template <int K>
  __device__ void values(int64_t i, float (&v)[K]) const {
    const Pack<T, K> pack = read_pack<K>(dy, i);
    for (int k = 0; k < K; ++k) v[k] = pack[k];
  }
};

// f of a product: dy times the other side
template <class T, class B>
struct Times {
  static constexpr int kVector = kWide<T>;
  DeviceSpan<const T> dy;
  DeviceSpan<const B> other;
  BroadcastPlan p;  // of (dy, dy, other)
  bool wide() const { return aligned(dy); }
  __device__ float operator()(int64_t i) const { return load(dy[i]) * load(other[side_index(p, p.b, i)]); }
  template <int K>
  __device__ void values(int64_t i, float (&v)[K]) const {
    const Pack<T, K> pack = read_pack<K>(dy, i);
    for (int k = 0; k < K; ++k) v[k] = pack[k] * load(other[side_index(p, p.b, i + k)]);
  }
};

template <class F>
struct Column {  // as column_sums asks for it
  static constexpr int kVector = F::kVector;
  F f;
  int64_t C;
  bool wide(int64_t columns) const { return columns % kVector == 0 && f.wide(); }
  template <int V>
  __device__ void at(int64_t n, int64_t c, float (&v)[1][V]) const {
    f.values(n * C + c, v[0]);
  }
  __device__ void operator()(int64_t n, int64_t c, float (&v)[1]) const { v[0] = f(n * C + c); }
};

template <class G, class F>
struct Write {
  static constexpr int kVector = kWide<G> > F::kVector ? kWide<G> : F::kVector;
  GradSpan<G> g;
  F f;
  template <int K>
  __device__ void at(int64_t i) const {
    float v[K];
    f.values(i, v);
    put_pack<K>(g, i, v);
  }
};

// The general case, a warp for each element of g: p is that of (dy, dy, g), `repeats` what g repeats.
template <class G, class F>
__global__ void reduce_kernel(GradSpan<G> g, F f, BroadcastPlan p, int64_t n, int64_t repeats) {
  const int64_t k = row();
  if (k >= n) return;
  int64_t kept = 0, rest = k;  // where k's first element stands in dy
  for (int d = p.rank - 1; d >= 0; --d) {
    if (p.b[d] == 0) continue;
    kept += rest % p.size[d] * p.a[d];
    rest /= p.size[d];
  }
  float sum = 0;
  for (int64_t r = lane(); r < repeats; r += kWarp) {
    int64_t at = kept, left = r;
    for (int d = p.rank - 1; d >= 0; --d) {
      if (p.b[d] != 0) continue;
      at += left % p.size[d] * p.a[d];
      left /= p.size[d];
    }
    sum += f(at);
  }
  sum = warp_reduce<Sum>(sum);
  if (lane() == 0) g.put(k, sum);
}

template <class G, class F>
void reduce(Grad g, F f, const Shape& shape, Stream stream) {
  const BroadcastPlan p = broadcast_plan(shape, shape, g.t.shape());
  const int64_t n = g.t.numel(), total_n = shape.numel();
  if (n == 0) return;
  if (n == total_n)
    each<Write<G, F>::kVector>(Write<G, F>{grad<G>(g), f}, n, f.wide() && aligned(span<G>(g.t)), stream);
  else if (n == 1)
    total(grad<G>(g), f, total_n, 1, stream);
  else if (p.rank == 2 && p.b[0] == 0)
    column_sums<1>({grad<G>(g)}, Column<F>{f, n}, total_n / n, n, stream);
  else
    launch_rows(stream, reduce_kernel<G, F>, n, grad<G>(g), f, p, n, total_n / n);
}

void reduce_product(Grad g, const Tensor& dy, const Tensor& other, Stream stream) {
  const BroadcastPlan p = broadcast_plan(dy.shape(), dy.shape(), other.shape());
  with_device_type(g.t.dtype(), [&](auto zg) {
    with_device_type(dy.dtype(), [&](auto zy) {
      with_device_type(other.dtype(), [&](auto zo) {
        using Y = decltype(zy);
        using O = decltype(zo);
        reduce<decltype(zg)>(g, Times<Y, O>{span<Y>(dy), span<O>(other), p}, dy.shape(), stream);
      });
    });
  });
}

template <class T>
struct Scale {
  GradSpan<T> dx;
  DeviceSpan<const T> dy;
  float factor;
  template <int K>
  __device__ void at(int64_t i) const {
    const Pack<T, K> v = read_pack<K>(dy, i);
    float out[K];
    for (int k = 0; k < K; ++k) out[k] = factor * v[k];
    put_pack<K>(dx, i, out);
  }
};

}  // namespace

void add_forward(Tensor& y, const Tensor& a, const Tensor& b, Stream stream) {
  combine<Add>(y, a, b, stream);
}

void add_backward(Grad da, const Tensor& dy, Stream stream) {
  if (!da) return;
  with_device_type(da.t.dtype(), [&](auto zg) {
    with_device_type(dy.dtype(), [&](auto zy) {
      using Y = decltype(zy);
      reduce<decltype(zg)>(da, Plain<Y>{span<Y>(dy)}, dy.shape(), stream);
    });
  });
}

void mul_forward(Tensor& y, const Tensor& a, const Tensor& b, Stream stream) {
  combine<Mul>(y, a, b, stream);
}

void mul_backward(Grad da, Grad db, const Tensor& dy, const Tensor& a, const Tensor& b, Stream stream) {
  if (da) reduce_product(da, dy, b, stream);
  if (db) reduce_product(db, dy, a, stream);
}

void scale_forward(Tensor& y, const Tensor& x, double factor, Stream stream) {
  scale_backward({y, false}, x, factor, stream);
}

void scale_backward(Grad dx, const Tensor& dy, double factor, Stream stream) {
  if (!dx) return;
  GMAIL_CHECK(dx.t.shape() == dy.shape(), "[scale] shapes differ: ", dx.t.shape(), " and ", dy.shape());
  with_device_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Scale<T> op{grad<T>(dx), span<T>(dy), static_cast<float>(factor)};
    each<kWide<T>>(op, dy.numel(), aligned(op.dx, op.dy), stream);
  });
}

void accumulate(Grad g, const Tensor& x, Stream stream) {
  GMAIL_CHECK(g.t.numel() == x.numel(), "[accumulate] ", x.shape(), " into ", g.t.shape());
  add_backward(Grad{g.t.reshape(x.shape()), g.add}, x, stream);
}

}  // namespace gmail::cuda

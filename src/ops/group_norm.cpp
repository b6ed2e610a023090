#include "ops/group_norm.h"

#include <cmath>
#include <vector>

#include "ops/activation_math.h"
#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail {

GroupNormSizes group_norm_sizes(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mu,
                                const Tensor& r, int groups) {
  GMAIL_CHECK(x.rank() >= 2 && x.numel() > 0, "[group_norm] x must be (B, ..., C), got ", x.shape());
  const int64_t B = x.size(0), C = x.size(-1);
  GMAIL_CHECK(groups >= 1 && C % groups == 0, "[group_norm] ", C, " channels cannot be cut into ", groups,
              " groups");
  for (const Tensor* p : {&w, &b})
    GMAIL_CHECK(!*p || p->shape() == Shape{C}, "[group_norm] weight and bias must be (", C, "), got ",
                p->shape());
  for (const Tensor* p : {&mu, &r})
    GMAIL_CHECK((p->shape() == Shape{B, groups}), "[group_norm] mu and r must be (", B, ",", groups,
                "), got ", p->shape());
  return {B, x.numel() / (B * C), C, groups};
}

namespace cpu {
namespace {

// A sample b is worked on as a whole, so that its second pass finds it in the cache; its positions are cut
// into blocks that stay in the first-level cache and share out a single large sample.
struct Sizes {
  int64_t B, S, C, G, D;
  int64_t per_block, blocks;  // positions in a block, blocks of a sample
  [[nodiscard]] int64_t begin(int64_t k) const { return k * per_block; }
  [[nodiscard]] int64_t end(int64_t k) const { return std::min(S, begin(k) + per_block); }
  template <class F>
  void each_block(F&& f) const {  // f(k, first position, position behind the last)
    parallel_for(blocks, 4, [&](int64_t first, int64_t last) {
      for (int64_t k = first; k < last; ++k) f(k, begin(k), end(k));
    });
  }
};

Sizes check(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mu, const Tensor& r,
            int groups) {
  const GroupNormSizes s = group_norm_sizes(x, w, b, mu, r, groups);
  const int64_t per_block = std::max<int64_t>(1, 4096 / s.C);
  return {s.B, s.S, s.C, s.G, s.C / s.G, per_block, (s.S + per_block - 1) / per_block};
}

struct Moments {
  double n = 0, mean = 0, square = 0;  // square: sum of squared distances from the mean
  void join(const Moments& o) {        // Chan et al. 1979
    const double total = n + o.n, delta = o.mean - mean;
    mean += delta * o.n / total;
    square += o.square + delta * delta * n * o.n / total;
    n = total;
  }
};

// The moments of each group in block k, from two passes over the block.
template <class T>
void block_moments(Moments* out, const T* x, int64_t rows, const Sizes& s) {
  const Scratch<T> scratch(2 * s.C);
  T *const sum = scratch.data(), *const mean = sum + s.C;
  std::fill_n(sum, s.C, T(0));
  for (int64_t i = 0; i < rows; ++i) {
    const T* xi = x + i * s.C;
    GMAIL_SIMD
    for (int64_t c = 0; c < s.C; ++c) sum[c] += xi[c];
  }
  const auto n = static_cast<double>(rows * s.D);
  for (int64_t g = 0; g < s.G; ++g) {
    double total = 0;
    for (int64_t c = g * s.D; c < (g + 1) * s.D; ++c) total += static_cast<double>(sum[c]);
    out[g] = {n, static_cast<double>(static_cast<T>(total / n)), 0};
    std::fill_n(mean + g * s.D, s.D, static_cast<T>(out[g].mean));
  }
  std::fill_n(sum, s.C, T(0));
  for (int64_t i = 0; i < rows; ++i) {
    const T* xi = x + i * s.C;
    GMAIL_SIMD
    for (int64_t c = 0; c < s.C; ++c) sum[c] += (xi[c] - mean[c]) * (xi[c] - mean[c]);
  }
  for (int64_t g = 0; g < s.G; ++g)
    for (int64_t c = g * s.D; c < (g + 1) * s.D; ++c) out[g].square += static_cast<double>(sum[c]);
}

// mu and r of one sample
template <class T>
void statistics(T* mu, T* r, const T* x, const Sizes& s, double eps) {
  std::vector<Moments> moments(static_cast<size_t>(s.blocks * s.G));
  s.each_block([&](int64_t k, int64_t begin, int64_t end) {
    block_moments(&moments[static_cast<size_t>(k * s.G)], x + begin * s.C, end - begin, s);
  });
  for (int64_t g = 0; g < s.G; ++g) {
    Moments all;
    for (int64_t k = 0; k < s.blocks; ++k) all.join(moments[static_cast<size_t>(k * s.G + g)]);
    mu[g] = static_cast<T>(all.mean);
    r[g] = static_cast<T>(1 / std::sqrt(all.square / all.n + eps));
  }
}

// mu, r, w, b of a sample, spread to one value a channel; `more` further values a channel for the caller
template <class T>
struct Channels {
  Scratch<T> memory;
  T *mu, *r, *w, *b, *more;
  Channels(const T* mu_, const T* r_, const T* w_, const T* b_, const Sizes& s, int64_t extra)
      : memory((4 + extra) * s.C) {
    mu = memory.data(), r = mu + s.C, w = r + s.C, b = w + s.C, more = b + s.C;
    for (int64_t g = 0; g < s.G; ++g) {
      std::fill_n(mu + g * s.D, s.D, mu_[g]);
      std::fill_n(r + g * s.D, s.D, r_[g]);
    }
    for (int64_t c = 0; c < s.C; ++c) {
      w[c] = w_ != nullptr ? w_[c] : T(1);
      b[c] = b_ != nullptr ? b_[c] : T(0);
    }
  }
};

template <bool silu, class T>
GMAIL_WIDEST void scale_rows(T* y, const T* x, const T* mean, const T* gain, const T* bias, int64_t rows,
                             int64_t C) {
  for (int64_t i = 0; i < rows; ++i, x += C, y += C) {
    GMAIL_SIMD
    for (int64_t c = 0; c < C; ++c) {
      const T u = (x[c] - mean[c]) * gain[c] + bias[c];
      y[c] = silu ? Silu::value(u) : u;
    }
  }
}

template <bool silu, class T>
void forward(T* y, const T* x, const T* mu, const T* r, const T* w, const T* b, const Sizes& s) {
  const Channels<T> ch(mu, r, w, b, s, 0);
  T* const gain = ch.r;
  for (int64_t c = 0; c < s.C; ++c) gain[c] *= ch.w[c];
  s.each_block([&](int64_t, int64_t begin, int64_t end) {
    scale_rows<silu, T>(y + begin * s.C, x + begin * s.C, ch.mu, gain, ch.b, end - begin, s.C);
  });
}

template <bool silu, class T>
void forward_all(T* y, T* mu, T* r, const T* x, const T* w, const T* b, const Sizes& s, double eps) {
  parallel_for(s.B, 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int64_t first = at * s.S * s.C, group = at * s.G;
      statistics<T>(mu + group, r + group, x + first, s, eps);
      forward<silu, T>(y + first, x + first, mu + group, r + group, w, b, s);
    }
  });
}

// Adds to `sums`, per channel, the sum of g and of g n over `rows` positions. With silu g is kept for eq.
// (2).
template <bool silu, class T>
GMAIL_WIDEST void add_sums(T* sums, T* g, const T* dy, const T* x, int64_t rows, const Channels<T>& ch,
                           int64_t C) {
  T *const sum_g = sums, *const sum_gn = sums + C;
  const T *mu = ch.mu, *r = ch.r, *w = ch.w, *b = ch.b;
  for (int64_t at = 0; at < rows * C; at += C) {
    const T *xi = x + at, *dyi = dy + at;
    T* const gi = silu ? g + at : nullptr;
    GMAIL_SIMD
    for (int64_t c = 0; c < C; ++c) {
      const T n = (xi[c] - mu[c]) * r[c];
      const T v = silu ? dyi[c] * Silu::slope(n * w[c] + b[c]) : dyi[c];
      if constexpr (silu) gi[c] = v;
      sum_g[c] += v;
      sum_gn[c] += v * n;
    }
  }
}

// eq. (2) as dx = g p - q - (x - mu) t with p = r w, q = r mean(h), t = r^2 mean(h n) in ch.more; total: sums
// of g and g n
template <class T>
void gradient_factors(const Channels<T>& ch, const double* total, const Sizes& s) {
  const double share = 1 / static_cast<double>(s.S * s.D);
  for (int64_t group = 0; group < s.G; ++group) {
    double mean_h = 0, mean_hn = 0;
    for (int64_t c = group * s.D; c < (group + 1) * s.D; ++c) {
      mean_h += share * static_cast<double>(ch.w[c]) * total[c];
      mean_hn += share * static_cast<double>(ch.w[c]) * total[s.C + c];
    }
    for (int64_t c = group * s.D; c < (group + 1) * s.D; ++c) {
      const auto r = static_cast<double>(ch.r[c]);
      ch.more[c] = ch.r[c] * ch.w[c];
      ch.more[s.C + c] = static_cast<T>(r * mean_h);
      ch.more[2 * s.C + c] = static_cast<T>(r * r * mean_hn);
    }
  }
}

// One sample: dx from its element `first` on, and its sums of g and g n in total (2 C).
template <bool silu, class T>
void backward(GradWriter<T> dx, int64_t first, double* total, const T* dy, const T* x, const T* mu,
              const T* r, const T* w, const T* b, const Sizes& s) {
  const Channels<T> ch(mu, r, w, b, s, 3);
  const Scratch<T> memory(2 * s.C * s.blocks + (silu ? s.S * s.C : 0));
  T *const sums = memory.data(), *const kept = sums + 2 * s.C * s.blocks;
  const T* const g = silu ? kept : dy;
  std::fill_n(sums, 2 * s.C * s.blocks, T(0));
  s.each_block([&](int64_t k, int64_t begin, int64_t end) {
    add_sums<silu>(sums + 2 * s.C * k, kept + begin * s.C, dy + begin * s.C, x + begin * s.C, end - begin, ch,
                   s.C);
  });
  for (int64_t c = 0; c < 2 * s.C; ++c) {
    total[c] = 0;
    for (int64_t k = 0; k < s.blocks; ++k) total[c] += static_cast<double>(sums[2 * s.C * k + c]);
  }
  if (!dx) return;
  gradient_factors(ch, total, s);
  with_writer(dx, [&](auto out) {
    s.each_block([&](int64_t, int64_t begin, int64_t end) {
      const T *mean = ch.mu, *p = ch.more, *q = p + s.C, *t = q + s.C;
      for (int64_t row = begin * s.C; row < end * s.C; row += s.C) {
        const T *gi = g + row, *xi = x + row;
        const int64_t at = first + row;
        GMAIL_SIMD
        for (int64_t c = 0; c < s.C; ++c) out.put(at + c, gi[c] * p[c] - q[c] - (xi[c] - mean[c]) * t[c]);
      }
    });
  });
}

template <bool silu, class T>
void backward_all(GradWriter<T> dx, GradWriter<T> dw, GradWriter<T> db, const T* dy, const T* x, const T* mu,
                  const T* r, const T* w, const T* b, const Sizes& s) {
  std::vector<double> totals(static_cast<size_t>(s.B * 2 * s.C));
  parallel_for(s.B, 1, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const int64_t first = at * s.S * s.C;
      backward<silu>(dx, first, &totals[static_cast<size_t>(at * 2 * s.C)], dy + first, x + first,
                     mu + at * s.G, r + at * s.G, w, b, s);
    }
  });
  for (int64_t c = 0; c < s.C; ++c) {  // eq. (3)
    double sum_g = 0, sum_gn = 0;
    for (int64_t at = 0; at < s.B; ++at) {
      sum_g += totals[static_cast<size_t>(at * 2 * s.C + c)];
      sum_gn += totals[static_cast<size_t>((at * 2 + 1) * s.C + c)];
    }
    if (dw) dw.put(c, static_cast<T>(sum_gn));
    if (db) db.put(c, static_cast<T>(sum_g));
  }
}

template <class T>
const T* pointer(const Tensor& t) {
  return t ? t.data<T>() : nullptr;
}

}  // namespace

void group_norm_forward(Tensor& y, Tensor& mu, Tensor& r, const Tensor& x, const Tensor& w, const Tensor& b,
                        int groups, double eps, bool silu) {
  const Sizes s = check(x, w, b, mu, r, groups);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T *py = y.data<T>(), *pmu = mu.data<T>(), *pr = r.data<T>();
    if (silu)
      forward_all<true, T>(py, pmu, pr, x.data<T>(), pointer<T>(w), pointer<T>(b), s, eps);
    else
      forward_all<false, T>(py, pmu, pr, x.data<T>(), pointer<T>(w), pointer<T>(b), s, eps);
  });
}

void group_norm_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                         const Tensor& b, const Tensor& mu, const Tensor& r, int groups, bool silu) {
  if (!dx && !dw && !db) return;
  const Sizes s = check(x, w, b, mu, r, groups);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const GradWriter<T> gx(dx), gw(dw), gb(db);
    const T *pdy = dy.data<T>(), *px = x.data<T>(), *pmu = mu.data<T>(), *pr = r.data<T>();
    if (silu)
      backward_all<true, T>(gx, gw, gb, pdy, px, pmu, pr, pointer<T>(w), pointer<T>(b), s);
    else
      backward_all<false, T>(gx, gw, gb, pdy, px, pmu, pr, pointer<T>(w), pointer<T>(b), s);
  });
}

}  // namespace cpu
}  // namespace gmail

#include "ops/group_norm.h"

#include <cmath>
#include <vector>

#include "ops/activation_math.h"
#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail::cpu {
namespace {

// Positions are worked on in blocks that stay in the first-level cache and are the unit of parallel work.
struct Sizes {
  int64_t B, S, C, G, D;
  int64_t per_block, blocks;  // positions in a block, blocks of one b
  [[nodiscard]] int64_t begin(int64_t k) const { return k % blocks * per_block; }
  [[nodiscard]] int64_t end(int64_t k) const { return std::min(S, begin(k) + per_block); }
  [[nodiscard]] int64_t row(int64_t k) const {
    return (k / blocks * S + begin(k)) * C;
  }  // first element of block k
};

Sizes check(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mu, const Tensor& r,
            int groups) {
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
  const int64_t S = x.numel() / (B * C), per_block = std::max<int64_t>(1, 4096 / C);
  return {B, S, C, groups, C / groups, per_block, (S + per_block - 1) / per_block};
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

template <class T>
void statistics(T* mu, T* r, const T* x, const Sizes& s, double eps) {
  std::vector<Moments> moments(static_cast<size_t>(s.B * s.blocks * s.G));
  parallel_for(s.B * s.blocks, 4, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k)
      block_moments(&moments[static_cast<size_t>(k * s.G)], x + s.row(k), s.end(k) - s.begin(k), s);
  });
  for (int64_t i = 0; i < s.B * s.G; ++i) {
    const int64_t b = i / s.G, g = i % s.G;
    Moments all;
    for (int64_t k = b * s.blocks; k < (b + 1) * s.blocks; ++k)
      all.join(moments[static_cast<size_t>(k * s.G + g)]);
    mu[i] = static_cast<T>(all.mean);
    r[i] = static_cast<T>(1 / std::sqrt(all.square / all.n + eps));
  }
}

// mu, r, w, b of sample `at`, spread to one value a channel
template <class T>
struct Channels {
  Scratch<T> memory;
  T *mu, *r, *w, *b;
  Channels(int64_t at, const T* mu_, const T* r_, const T* w_, const T* b_, const Sizes& s)
      : memory(4 * s.C) {
    mu = memory.data(), r = mu + s.C, w = r + s.C, b = w + s.C;
    for (int64_t g = 0; g < s.G; ++g) {
      std::fill_n(mu + g * s.D, s.D, mu_[at * s.G + g]);
      std::fill_n(r + g * s.D, s.D, r_[at * s.G + g]);
    }
    for (int64_t c = 0; c < s.C; ++c) {
      w[c] = w_ != nullptr ? w_[c] : T(1);
      b[c] = b_ != nullptr ? b_[c] : T(0);
    }
  }
};

template <bool silu, class T>
void normalize(T* y, const T* x, const T* mu, const T* r, const T* w, const T* b, const Sizes& s) {
  parallel_for(s.B * s.blocks, 4, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k) {
      const Channels<T> ch(k / s.blocks, mu, r, w, b, s);
      for (int64_t c = 0; c < s.C; ++c) ch.r[c] *= ch.w[c];
      for (int64_t i = 0; i < s.end(k) - s.begin(k); ++i) {
        const T* xi = x + s.row(k) + i * s.C;
        T* yi = y + s.row(k) + i * s.C;
        GMAIL_SIMD
        for (int64_t c = 0; c < s.C; ++c) {
          const T u = (xi[c] - ch.mu[c]) * ch.r[c] + ch.b[c];
          yi[c] = silu ? Silu::value(u) : u;
        }
      }
    }
  });
}

// per channel of block k: sum g and sum g n
template <bool silu, class T>
void block_sums(T* sums, const T* dy, const T* x, int64_t rows, const Channels<T>& ch, const Sizes& s) {
  T *const sum_g = sums, *const sum_gn = sums + s.C;
  std::fill_n(sums, 2 * s.C, T(0));
  for (int64_t i = 0; i < rows; ++i) {
    const T *xi = x + i * s.C, *dyi = dy + i * s.C;
    GMAIL_SIMD
    for (int64_t c = 0; c < s.C; ++c) {
      const T n = (xi[c] - ch.mu[c]) * ch.r[c];
      const T g = silu ? dyi[c] * Silu::slope(n * ch.w[c] + ch.b[c]) : dyi[c];
      sum_g[c] += g;
      sum_gn[c] += g * n;
    }
  }
}

template <bool silu, class Writer, class T>
void backward_x(Writer dx, const T* dy, const T* x, const double* means, const T* mu, const T* r, const T* w,
                const T* b, const Sizes& s) {
  parallel_for(s.B * s.blocks, 4, [&](int64_t first, int64_t last) {
    const Scratch<T> scratch(2 * s.C);
    T *const mean_h = scratch.data(), *const mean_hn = mean_h + s.C;
    for (int64_t k = first; k < last; ++k) {
      const int64_t at = k / s.blocks;
      const Channels<T> ch(at, mu, r, w, b, s);
      for (int64_t c = 0; c < s.C; ++c) {
        mean_h[c] = static_cast<T>(means[2 * (at * s.G + c / s.D)]);
        mean_hn[c] = static_cast<T>(means[2 * (at * s.G + c / s.D) + 1]);
      }
      for (int64_t row = s.row(k); row < s.row(k) + (s.end(k) - s.begin(k)) * s.C; row += s.C) {
        GMAIL_SIMD
        for (int64_t c = 0; c < s.C; ++c) {
          const T n = (x[row + c] - ch.mu[c]) * ch.r[c];
          const T g = silu ? dy[row + c] * Silu::slope(n * ch.w[c] + ch.b[c]) : dy[row + c];
          dx.put(row + c, ch.r[c] * (g * ch.w[c] - mean_h[c] - n * mean_hn[c]));  // eq. (2)
        }
      }
    }
  });
}

template <bool silu, class T>
void backward(GradWriter<T> dx, GradWriter<T> dw, GradWriter<T> db, const T* dy, const T* x, const T* mu,
              const T* r, const T* w, const T* b, const Sizes& s) {
  std::vector<T> sums(static_cast<size_t>(s.B * s.blocks * 2 * s.C));
  parallel_for(s.B * s.blocks, 4, [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k)
      block_sums<silu, T>(&sums[static_cast<size_t>(k * 2 * s.C)], dy + s.row(k), x + s.row(k),
                          s.end(k) - s.begin(k), Channels<T>(k / s.blocks, mu, r, w, b, s), s);
  });
  std::vector<double> of_sample(static_cast<size_t>(2 * s.C)), all(static_cast<size_t>(2 * s.C));
  std::vector<double> means(static_cast<size_t>(2 * s.B * s.G));  // of h and of h n
  for (int64_t at = 0; at < s.B; ++at) {
    std::fill(of_sample.begin(), of_sample.end(), 0.0);
    for (int64_t k = at * s.blocks; k < (at + 1) * s.blocks; ++k)
      for (size_t c = 0; c < of_sample.size(); ++c)
        of_sample[c] += static_cast<double>(sums[static_cast<size_t>(k) * of_sample.size() + c]);
    for (int64_t c = 0; c < s.C; ++c) {
      const auto i = static_cast<size_t>(c), j = static_cast<size_t>(s.C + c);
      const auto group = static_cast<size_t>(2 * (at * s.G + c / s.D));
      const double share = (w != nullptr ? static_cast<double>(w[c]) : 1.0) / static_cast<double>(s.S * s.D);
      means[group] += share * of_sample[i];
      means[group + 1] += share * of_sample[j];
      all[i] += of_sample[i];
      all[j] += of_sample[j];
    }
  }
  for (int64_t c = 0; c < s.C; ++c) {  // eq. (3)
    if (dw) dw.put(c, static_cast<T>(all[static_cast<size_t>(s.C + c)]));
    if (db) db.put(c, static_cast<T>(all[static_cast<size_t>(c)]));
  }
  if (dx) with_writer(dx, [&](auto out) { backward_x<silu>(out, dy, x, means.data(), mu, r, w, b, s); });
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
    T *pmu = mu.data<T>(), *pr = r.data<T>();
    statistics<T>(pmu, pr, x.data<T>(), s, eps);
    if (silu)
      normalize<true, T>(y.data<T>(), x.data<T>(), pmu, pr, pointer<T>(w), pointer<T>(b), s);
    else
      normalize<false, T>(y.data<T>(), x.data<T>(), pmu, pr, pointer<T>(w), pointer<T>(b), s);
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
      backward<true, T>(gx, gw, gb, pdy, px, pmu, pr, pointer<T>(w), pointer<T>(b), s);
    else
      backward<false, T>(gx, gw, gb, pdy, px, pmu, pr, pointer<T>(w), pointer<T>(b), s);
  });
}

}  // namespace gmail::cpu

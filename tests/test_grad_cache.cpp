// Protects gradient caching: the loss and every gradient are those of the whole batch, for even and uneven
// chunks, with a frozen tower, with dropout, and on top of gradients that are there already; an encoder that
// is not a function is refused.
#include "train/grad_cache.h"

#include <cmath>

#include "autograd/functions.h"
#include "catch.h"
#include "gradcheck.h"
#include "nn/param.h"

using namespace gmail;
using namespace gmail::test;

namespace {

constexpr int64_t kBatch = 11;

// Two small towers and a learnable scale, in double.
struct Towers {
  Tensor images = random({kBatch, 7}, 1), texts = random({kBatch, 6}, 2);
  Param w1{"w1", random({5, 7}, 3), {}, true, true}, b1{"b1", random({5}, 4), {}, true, false};
  Param w2{"w2", random({5, 6}, 5), {}, true, true};
  Param scale{"scale", Tensor::full({1}, 1.5, DType::float64), {}, true, false};
  double dropout_p = 0;

  [[nodiscard]] std::vector<Var> encode(Tape& tape, int64_t begin, int64_t end) {
    Var x = linear(tape, Var(images.rows(begin, end)), w1.on(tape), b1.on(tape));
    if (dropout_p > 0) x = dropout(tape, x, dropout_p, {.seed = 1, .step = static_cast<uint64_t>(begin)});
    const Var y = linear(tape, Var(texts.rows(begin, end)), w2.on(tape), Var());
    return {l2_normalize(tape, activation(tape, x, Activation::tanh)), l2_normalize(tape, y)};
  }
  [[nodiscard]] Var loss(Tape& tape, const std::vector<Var>& y) {
    InfoNceOptions options;
    options.symmetric = true;
    options.group = Tensor::from<int32_t>(std::vector<int32_t>{0, 1, 2, 0, 4, 5, 6, 7, 8, 4, 0}, {kBatch});
    return info_nce(tape, y[0], y[1], scale.on(tape), options);
  }
  [[nodiscard]] double cached(const std::vector<int64_t>& borders) {
    const Context ctx;
    const auto chunk = [&](Tape& tape, int64_t c, bool) {
      return encode(tape, borders[static_cast<size_t>(c)], borders[static_cast<size_t>(c) + 1]);
    };
    const auto top = [&](Tape& tape, const std::vector<Var>& y) { return loss(tape, y); };
    const double value = grad_cached_step(ctx, static_cast<int64_t>(borders.size()) - 1, chunk, top).item();
    CHECK(ctx.arena->live() == 0);
    return value;
  }
  // The same with one tape over the whole batch, the chunks side by side.
  [[nodiscard]] double whole(const std::vector<int64_t>& borders) {
    const Context ctx;
    Tape tape(ctx);
    std::vector<Var> a, b;
    for (size_t c = 0; c + 1 < borders.size(); ++c) {
      const auto y = encode(tape, borders[c], borders[c + 1]);
      a.push_back(y[0]);
      b.push_back(y[1]);
    }
    const Var l = loss(tape, {concat(tape, a, 0), concat(tape, b, 0)});
    tape.backward(l);
    return l.value.item();
  }
};

void check_equal(Towers& cached, Towers& whole, const std::vector<int64_t>& borders) {
  CHECK(cached.cached(borders) == Approx(whole.whole(borders)).epsilon(1e-12));
  CHECK(close(cached.w1.slot.grad, whole.w1.slot.grad, 1e-12) == "");
  CHECK(close(cached.b1.slot.grad, whole.b1.slot.grad, 1e-12) == "");
  CHECK(close(cached.w2.slot.grad, whole.w2.slot.grad, 1e-12) == "");
  CHECK(close(cached.scale.slot.grad, whole.scale.slot.grad, 1e-12) == "");
}

}  // namespace

TEST_CASE("grad_cache: the gradients of the whole batch") {
  for (const std::vector<int64_t>& borders :
       {std::vector<int64_t>{0, 11}, {0, 4, 8, 11}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}) {
    Towers cached, whole;
    check_equal(cached, whole, borders);
    CHECK(std::abs(cached.w1.slot.grad.at(0)) > 1e-6);
    check_equal(cached, whole, borders);  // a second step adds to the gradients of the first
  }
}

TEST_CASE("grad_cache: a frozen tower, and dropout") {
  Towers cached, whole;
  cached.w2.trainable = whole.w2.trainable = false;
  check_equal(cached, whole, {0, 4, 8, 11});
  CHECK_FALSE(cached.w2.slot.grad.defined());

  Towers cached_dropout, whole_dropout;
  cached_dropout.dropout_p = whole_dropout.dropout_p = 0.3;
  check_equal(cached_dropout, whole_dropout, {0, 5, 11});
}

TEST_CASE("grad_cache: a frozen tower may be left out the second time") {
  Towers cached, whole;
  cached.w2.trainable = whole.w2.trainable = false;
  const Context ctx;
  const auto chunk = [&](Tape& tape, int64_t c, bool again) {
    auto y = cached.encode(tape, c == 0 ? 0 : 5, c == 0 ? 5 : 11);
    if (again) y[1] = Var();
    return y;
  };
  const auto top = [&](Tape& tape, const std::vector<Var>& y) { return cached.loss(tape, y); };
  CHECK(grad_cached_step(ctx, 2, chunk, top).item() == Approx(whole.whole({0, 5, 11})).epsilon(1e-12));
  CHECK(close(cached.w1.slot.grad, whole.w1.slot.grad, 1e-12) == "");
}

TEST_CASE("grad_cache: what cannot be right is refused") {
  Towers towers;
  const Context ctx;
  int64_t calls = 0;
  const auto drifting = [&](Tape& tape, int64_t, bool) {
    towers.b1.value.data<double>()[0] += 1e-9 * static_cast<double>(calls++);
    return towers.encode(tape, 0, 11);
  };
  const auto top = [&](Tape& tape, const std::vector<Var>& y) { return towers.loss(tape, y); };
  CHECK_THROWS_WITH(grad_cached_step(ctx, 1, drifting, top),
                    Contains("was encoded differently the second time"));
  CHECK_THROWS_WITH(grad_cached_step(ctx, 0, drifting, top), Contains("expected chunks"));
  const auto none = [](Tape&, int64_t, bool) { return std::vector<Var>{}; };
  CHECK_THROWS_WITH(grad_cached_step(ctx, 1, none, top), Contains("has 0 towers"));
}

// Protects softmax_cross_entropy: eq. (1) by hand, masked rows, no row at all, targets out of range, large
// logits, NaN.
#include "catch.h"

#include <cmath>

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

namespace {
Tensor ints(const std::vector<int32_t>& v) { return Tensor::from(v, {static_cast<int64_t>(v.size())}); }
double loss(const Tensor& z, const Tensor& targets, const Tensor& mask = Tensor()) {
  const Context ctx;
  Tape tape(ctx, false);
  return softmax_cross_entropy(tape, Var(z), targets, mask).value.item();
}
}  // namespace

TEST_CASE("softmax_cross_entropy: gradients", "[device]") {
  const Tensor targets = ints({2, 0, 6, 6, 1}), mask = ints({1, 0, 1, 1, 0});
  const auto all = [&](Tape& tape, const std::vector<Var>& v) {
    return softmax_cross_entropy(tape, v[0], targets);
  };
  const auto some = [&](Tape& t, const std::vector<Var>& v) {
    return softmax_cross_entropy(t, v[0], targets, mask);
  };
  CHECK_GRAD(all, {random({5, 7}, 1)});
  CHECK_GRAD(some, {random({5, 7}, 1)});
  const auto tied = [&](Tape& t, const std::vector<Var>& v) {  // the gradient is added to
    return add(t, softmax_cross_entropy(t, v[0], targets, mask), softmax_cross_entropy(t, v[0], targets));
  };
  CHECK_GRAD(tied, {random({5, 7}, 1)});
}

TEST_CASE("softmax_cross_entropy: rows that begin at any address, in packs and without") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) {
    return softmax_cross_entropy(tape, v[0], ints({1012, 0, 16, 555, 1}), ints({1, 0, 1, 1, 1}));
  };
  CHECK(float_agrees(f, {random({5, 1013}, 1)}) == "");
  CHECK(device_agrees(f, {random({5, 1013}, 1)}) == "");
}

TEST_CASE("softmax_cross_entropy: the gradient lies over logits that nobody else holds, and over no others") {
  const Context ctx;
  for (const bool held : {false, true}) {
    CAPTURE(held);
    Tape tape(ctx);
    const Var x = tape.input(random({5, 7}, 1));
    const std::byte *logits_at = nullptr, *gradient_at = nullptr;
    Var kept;
    const auto logits = [&] {
      const Tensor copy = x.value.clone();
      logits_at = copy.raw();
      Var z = tape.record(copy, {x}, [&, x](const Tensor& dy) {
        gradient_at = dy.raw();
        tape.pass(x, dy);
      });
      if (held) kept = z;
      return z;
    };
    const Var loss = softmax_cross_entropy(tape, logits(), ints({2, 0, 6, 6, 1}));
    tape.backward(loss);
    CHECK((gradient_at == logits_at) == !held);
    if (held) CHECK(close(kept.value, x.value, 0) == "");
    Tape apart(ctx);
    const Var same = apart.input(x.value);
    apart.backward(softmax_cross_entropy(apart, same, ints({2, 0, 6, 6, 1})));
    CHECK(close(tape.grad(x), apart.grad(same), 0) == "");
  }
}

TEST_CASE("softmax_cross_entropy: by hand") {
  const Tensor z = Tensor::from(std::vector<double>{0, std::log(3.0), 5, 5}, {2, 2});
  CHECK(loss(z, ints({1, 0})) == Approx((std::log(4.0 / 3) + std::log(2.0)) / 2).epsilon(1e-12));
  CHECK(loss(z, ints({0, 0}), ints({1, 0})) == Approx(std::log(4.0)).epsilon(1e-12));
  CHECK(loss(Tensor::zeros({3, 50257}), ints({0, 7, 50256})) == Approx(std::log(50257.0)).epsilon(1e-6));
  CHECK(loss(Tensor::full({1, 1}, 3), ints({0})) == 0);
}

TEST_CASE("softmax_cross_entropy: masked rows may hold anything, unmasked ones may not") {
  Tensor z = random({3, 4}, 1);
  z.data<double>()[5] = std::nan("");
  CHECK(std::isfinite(loss(z, ints({1, -100, 3}), ints({1, 0, 1}))));
  CHECK(std::isnan(loss(z, ints({1, 0, 3}))));
  CHECK(loss(z, ints({9, 9, 9}), ints({0, 0, 0})) == 0);
  CHECK_THROWS_WITH(loss(z, ints({1, 2, 4})),
                    "[softmax_cross_entropy] the target of row 2 is 4, expected 0 .. 3");
  CHECK_THROWS_AS(loss(z, ints({1, 2})), Error);
  const Context ctx;
  Tape tape(ctx);
  const Var v = tape.input(z);
  tape.backward(softmax_cross_entropy(tape, v, ints({1, -100, 3}), ints({1, 0, 1})));
  for (int64_t i = 4; i < 8; ++i) CHECK(tape.grad(v).at(i) == 0);
}

TEST_CASE("softmax_cross_entropy: logits in the thousands stay finite") {
  CHECK(loss(Tensor::from(std::vector<float>{4000, -4000}, {1, 2}), ints({1})) == Approx(8000));
}

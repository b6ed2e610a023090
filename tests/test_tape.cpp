// Protects the tape: reuse, frozen leaves, accumulation over tapes, outside gradients, memory, misuse,
// recompute.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"
#include "nn/param.h"

using namespace gmail;
using namespace gmail::test;

namespace {
Tensor ramp(double first, int64_t n = 4) {
  Tensor t = Tensor::empty({n}, DType::float64);
  for (int64_t i = 0; i < n; ++i) t.data<double>()[i] = first + static_cast<double>(i);
  return t;
}
Param param(const char* name, Tensor value, bool trainable = true) {
  Param p;
  p.name = name;
  p.value = std::move(value);
  p.trainable = trainable;
  return p;
}
Tensor ones(const Shape& shape) { return Tensor::full(shape, 1, DType::float64); }
}  // namespace

TEST_CASE("tape: a value used three times gets the sum of its gradients") {
  const Context ctx;
  Tape tape(ctx);
  const Var x = tape.input(ramp(1));
  const Var y = add(tape, mul(tape, x, x), add(tape, x, scale(tape, x, 3)));  // x^2 + 4 x
  tape.backward(y, ramp(-2));
  for (int64_t i = 0; i < 4; ++i)
    CHECK(tape.grad(x).at(i) == static_cast<double>(i - 2) * (2 * x.value.at(i) + 4));
}

TEST_CASE("tape: a shared gradient is copied before it is added to") {
  const Context ctx;
  Tape tape(ctx);
  const Var x = tape.input(ramp(1)), z = tape.input(ramp(5));
  const Var first = scale(tape, x, 10);             // its gradient comes last
  const Var y = add(tape, first, add(tape, x, z));  // dx and dz are one tensor...
  const Tensor dy = ones({4});
  tape.backward(y, dy);
  CHECK(close(tape.grad(x), Tensor::full({4}, 11, DType::float64), 0) == "");  // ... until dx grows
  CHECK(close(tape.grad(z), ones({4}), 0) == "");
  CHECK(close(dy, ones({4}), 0) == "");
}

TEST_CASE("tape: a frozen leaf gets no gradient and costs no node") {
  const Context ctx;
  Tape tape(ctx);
  Param w = param("w", ramp(2)), frozen = param("f", ramp(3), false);
  const Var x = tape.constant(ramp(1));
  const Var a = mul(tape, x, frozen.on(tape));
  CHECK_FALSE(a.tracked());
  CHECK(tape.nodes() == 0);
  const Var y = mul(tape, a, w.on(tape));
  CHECK(tape.nodes() == 1);
  tape.backward(y, ones({4}));
  CHECK(close(w.slot.grad, a.value, 0) == "");
  CHECK_FALSE(frozen.slot.grad.defined());
}

TEST_CASE("tape: what nothing downstream uses gets no gradient") {
  const Context ctx;
  Tape tape(ctx);
  const Var x = tape.input(ramp(1)), unused = tape.input(ramp(2));
  const Var side = scale(tape, unused, 2), y = scale(tape, x, 2);
  CHECK(side.tracked());
  tape.backward(y, ones({4}));
  CHECK_FALSE(tape.grad(unused).defined());
  CHECK_THROWS_AS(tape.grad(tape.constant(ramp(1))), Error);
}

TEST_CASE("tape: gradients add up over two tapes until `written` is reset") {
  const Context ctx;
  Param w = param("w", ramp(2));
  const auto step = [&](double first) {
    Tape tape(ctx);
    tape.backward(mul(tape, tape.constant(ramp(first)), w.on(tape)), ones({4}));
  };
  step(1);
  step(10);
  for (int64_t i = 0; i < 4; ++i) CHECK(w.slot.grad.at(i) == 11 + 2 * static_cast<double>(i));
  w.slot.written = false;
  step(1);
  CHECK(close(w.slot.grad, ramp(1), 0) == "");
}

TEST_CASE("tape: the same parameter twice on one tape, also through a passed gradient") {
  const Context ctx;
  Param w = param("w", ramp(2));
  Tape tape(ctx);
  const Var y = add(tape, mul(tape, w.on(tape), tape.constant(ramp(1))), w.on(tape));
  tape.backward(y, ones({4}));
  CHECK(close(w.slot.grad, ramp(2), 0) == "");
}

TEST_CASE("tape: several results with gradients from outside") {
  const Context ctx;
  Tape tape(ctx);
  const Var x = tape.input(ramp(1));
  const Var a = scale(tape, x, 2), b = scale(tape, x, 5);
  tape.backward(std::vector<Var>{a, b}, {ones({4}), Tensor::full({4}, 3, DType::float64)});
  CHECK(close(tape.grad(x), Tensor::full({4}, 17, DType::float64), 0) == "");
}

TEST_CASE("tape: misuse is refused") {
  const Context ctx;
  Tape tape(ctx);
  const Var x = tape.input(ramp(1));
  const Var y = scale(tape, x, 2);
  CHECK_THROWS_WITH(tape.backward(y), "[tape] backward without dy needs one element, got (4)");
  tape.backward(y, ones({4}));
  CHECK_THROWS_WITH(tape.backward(y, ones({4})), "[tape] backward was already run: the tape is consumed");
  Tape other(ctx);
  CHECK_THROWS_AS(other.backward(other.constant(ramp(1, 1))), Error);
  Tape third(ctx);
  CHECK_THROWS_AS(third.backward(third.input(ramp(1)), ones({3})), Error);
}

TEST_CASE("tape: activations are freed during backward, and nothing is left after it") {
  const Context ctx;
  const int64_t before = ctx.arena->live();
  size_t peak = 0;
  {
    Tape tape(ctx);
    Var y = tape.input(ramp(1, 1000));
    for (int i = 0; i < 20; ++i) y = activation(tape, y, Activation::tanh);
    const int64_t forward = ctx.arena->live();
    CHECK(forward - before == 20);
    const size_t bytes = ctx.arena->peak_bytes();
    tape.backward(y, ones({1000}));
    peak = ctx.arena->peak_bytes() - bytes;
    CHECK(ctx.arena->live() - before <= 3);  // y, and the gradient of the input
  }
  CHECK(peak <= 3 * 8000);  // gradients take the place of activations, they do not come on top
  CHECK(ctx.arena->live() == before);
}

TEST_CASE("tape: an abandoned tape gives its memory back") {
  const Context ctx;
  {
    Tape tape(ctx);
    const Var x = tape.input(ramp(1));
    const Var y = mul(tape, x, x);
    CHECK(ctx.arena->live() == 1);
    CHECK(y.tracked());
  }
  CHECK(ctx.arena->live() == 0);
}

TEST_CASE("recompute: the same gradients as without, for inputs, parameters and dropout") {
  const Context ctx;
  Param w = param("w", random({5, 7}, 3));
  const auto block = [&](Tape& tape, const std::vector<Var>& v) {
    const Var h = dropout(tape, mul(tape, v[0], w.on(tape)), 0.5, {1, 2, 3});
    return activation(tape, add(tape, h, v[1]), Activation::gelu_erf);
  };
  const auto run = [&](bool again) {
    Tape tape(ctx);
    w.slot.written = false;
    const Var x = tape.input(random({5, 7}, 1)), z = tape.input(random({7}, 2));
    const Var y = again ? recompute(tape, {x, z}, block) : block(tape, {x, z});
    const Var loss = mul(tape, y, x);
    tape.backward(loss, random({5, 7}, 4));
    return std::vector<Tensor>{loss.value.clone(), tape.grad(x).clone(), tape.grad(z).clone(),
                               w.slot.grad.clone()};
  };
  const auto straight = run(false), recomputed = run(true);
  for (size_t i = 0; i < straight.size(); ++i) {
    CAPTURE(i);
    CHECK(close(recomputed[i], straight[i], 1e-14) == "");
  }
  CHECK(ctx.arena->live() == 0);
}

TEST_CASE("recompute: gradients, also nested", "[device]") {
  const auto cube = [](Tape& tape, const std::vector<Var>& v) {
    return mul(tape, v[0], mul(tape, v[0], v[0]));
  };
  const auto nested = [&](Tape& tape, const std::vector<Var>& v) {
    return add(tape, recompute(tape, {v[0]}, cube), softmax(tape, v[1]));
  };
  const auto f = [&](Tape& tape, const std::vector<Var>& v) { return recompute(tape, v, nested); };
  CHECK_GRAD(f, {random({3, 5}, 1), random({3, 5}, 2)});
}

TEST_CASE("recompute: parameters alone are reason enough to record; nothing tracked is not") {
  const Context ctx;
  Param w = param("w", ramp(2)), frozen = param("f", ramp(2), false);
  Tape tape(ctx);
  const Var x = tape.constant(ramp(1));
  const auto with = [](Param& p) {
    return [&p](Tape& t, const std::vector<Var>& v) { return mul(t, v[0], p.on(t)); };
  };
  CHECK_FALSE(recompute(tape, {x}, with(frozen)).tracked());
  const Var y =
      recompute(tape, {x}, [&](Tape& t, const std::vector<Var>& v) { return recompute(t, v, with(w)); });
  CHECK(y.tracked());
  CHECK(tape.nodes() == 1);
  tape.backward(y, ones({4}));
  CHECK(close(w.slot.grad, ramp(1), 0) == "");
  Tape infer(ctx, false);
  CHECK_FALSE(recompute(infer, {infer.input(ramp(1))}, with(w)).tracked());
}

TEST_CASE("recompute: keeps no activation, passes identity and constants") {
  const Context ctx;
  Tape tape(ctx);
  const Var x = tape.input(random({1000}, 1));
  const auto deep = [](Tape& t, const std::vector<Var>& v) {
    Var y = v[0];
    for (int i = 0; i < 10; ++i) y = activation(t, y, Activation::tanh);
    return y;
  };
  const Var y = recompute(tape, {x}, deep);
  CHECK(ctx.arena->live() == 1);  // y
  const Var same = recompute(tape, {y}, [](Tape&, const std::vector<Var>& v) { return v[0]; });
  const Var none =
      recompute(tape, {y}, [](Tape& t, const std::vector<Var>&) { return t.constant(ones({1000})); });
  tape.backward(add(tape, same, none), ones({1000}));
  Tape direct(ctx);
  const Var dx = direct.input(x.value);
  direct.backward(deep(direct, {dx}), ones({1000}));
  CHECK(close(tape.grad(x), direct.grad(dx), 1e-14) == "");
}

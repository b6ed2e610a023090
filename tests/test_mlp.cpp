// Protects mlp: its gradients with every activation, odd and whole sizes, each optional input absent; that it
// equals the layers that it is made of, bit for bit on the CPU, also with frozen weights.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

namespace {

std::vector<Tensor> inputs(int64_t N, int64_t I, int64_t H, int64_t O, DType type = DType::float64) {
  return {random({2, N, I}, 1, type), random({H, I}, 2, type), random({H}, 3, type),
          random({O, H}, 4, type),    random({O}, 5, type),    random({2, N, O}, 6, type)};
}

}  // namespace

TEST_CASE("mlp: gradients") {
  for (const Activation act : {Activation::gelu_tanh, Activation::quick_gelu}) {
    const auto f = [act](Tape& tape, const std::vector<Var>& v) {
      return mlp(tape, v[0], v[1], v[2], v[3], v[4], act, v[5]);
    };
    CHECK_GRAD(f, inputs(3, 5, 16, 7));
    CHECK_GRAD(f, inputs(2, 6, 11, 6));
    auto bare = inputs(3, 4, 8, 5);
    bare[2] = bare[4] = bare[5] = Tensor();
    CHECK_GRAD(f, bare);
  }
}

TEST_CASE("mlp: the layers that it is made of, whichever of them is frozen") {
  const Context ctx;
  const auto in = inputs(20, 24, 40, 24, DType::float32);
  for (const bool frozen1 : {false, true})
    for (const bool frozen2 : {false, true})
      for (const bool frozen_x : {false, true}) {
        std::vector<Tensor> results[2];
        for (const bool whole : {false, true}) {
          Tape tape(ctx);
          const auto leaf = [&](size_t i, bool frozen) { return frozen ? Var(in[i]) : tape.input(in[i]); };
          const Var x = leaf(0, frozen_x), w1 = leaf(1, frozen1), b1 = leaf(2, frozen1),
                    w2 = leaf(3, frozen2), b2 = leaf(4, frozen2), residual = tape.input(in[5]);
          const Activation act = Activation::gelu_tanh;
          const Var y = whole
                            ? mlp(tape, x, w1, b1, w2, b2, act, residual)
                            : linear(tape, activation(tape, linear(tape, x, w1, b1), act), w2, b2, residual);
          tape.backward(y, random(y.shape(), 9, DType::float32));
          std::vector<Tensor>& out = results[whole ? 1 : 0];
          out.push_back(y.value.clone());
          for (const Var& v : {x, w1, b1, w2, b2, residual})
            out.push_back(v.tracked() ? tape.grad(v).clone() : Tensor());
        }
        for (size_t i = 0; i < results[0].size(); ++i) CHECK(close(results[1][i], results[0][i], 0) == "");
      }
}

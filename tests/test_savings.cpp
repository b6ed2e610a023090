// Protects the work that is left out: the last block on one token and trimmed texts change neither results
// nor gradients, and no product is computed that nobody asked for.
#include "catch.h"

#include <utility>

#include "autograd/functions.h"
#include "gmail/gen_clip_flow.h"
#include "gradcheck.h"
#include "ops/linear.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;

namespace {

struct Gradients {
  Tensor y;
  std::vector<Tensor> grads;
};

// y = f(tape) and the gradient of every parameter for a fixed dy
Gradients run(const ParamList& params, const std::function<Var(Tape&)>& f) {
  const Context ctx;
  Tape tape(ctx);
  for (Param* p : params) p->slot = {};
  const Var y = f(tape);
  tape.backward(y, random(y.shape(), 77));
  Gradients out{y.value.clone(), {}};
  for (const Param* p : params) out.grads.push_back(p->slot.grad ? p->slot.grad.clone() : Tensor());
  return out;
}

void check_same(const ParamList& params, const Gradients& a, const Gradients& b) {
  CHECK(close(a.y, b.y, 1e-12) == "");
  for (size_t i = 0; i < params.size(); ++i) {
    INFO(params[i]->name);
    // a key's bias changes nothing: its gradient is rounding, of sums of about 1
    if (a.grads[i] && b.grads[i]) CHECK(close(a.grads[i], b.grads[i], 1e-12, 1e-14) == "");
    CHECK(a.grads[i].defined() == b.grads[i].defined());
  }
}

// ImageTower::encode as the papers draw it: every block on every token
Var encode_all_tokens(Tape& tape, ImageTower& tower, const Tensor& images) {
  const int64_t B = images.size(0), T = tower.position_embedding.value.size(0),
                W = tower.position_embedding.value.size(1);
  const Var patches = reshape(tape, tower.patch_embedding.forward(tape, Var(images)), {B, T - 1, W});
  const Var token = add(tape, Var(Tensor::zeros({B, 1, W}, DType::float64)), tower.class_embedding.on(tape));
  Var x = add(tape, concat(tape, {token, patches}, 1), tower.position_embedding.on(tape));
  x = tower.pre_layrnorm.forward(tape, x);
  for (Block& block : tower.layers) x = block.forward(tape, x, {});
  const Var row = gather_rows(tape, x, Tensor::zeros({B}, DType::int32));
  return tower.visual_projection.forward(tape, tower.post_layernorm.forward(tape, row));
}

Clip double_clip(int64_t layers) {
  ClipConfig config = tiny_clip();
  config.vision.num_hidden_layers = config.text.num_hidden_layers = layers;
  Clip clip(config);
  clip.init(3);
  to_double(clip.params());
  return clip;
}

}  // namespace

TEST_CASE("savings: the last block on the class token alone") {
  for (const int64_t layers : {0, 1, 3}) {
    Clip clip = double_clip(layers);
    ParamList params;
    clip.image.collect(params);
    const Tensor x = random({3, 16, 16, 3}, 7);
    const Gradients all = run(params, [&](Tape& tape) { return encode_all_tokens(tape, clip.image, x); });
    for (const bool checkpointing : {false, true}) {
      clip.image.checkpointing = checkpointing;
      check_same(params, run(params, [&](Tape& tape) { return clip.image.encode(tape, Var(x)); }), all);
    }
  }
}

TEST_CASE("savings: the last block on the end token alone, and no padding") {
  for (const int64_t layers : {0, 1, 3}) {
    Clip clip = double_clip(layers);
    ParamList params;
    clip.text.collect(params);
    const TextInput padded = tiny_text(4, 10, 30), trimmed = make_text_input(padded.ids, padded.end);
    REQUIRE(trimmed.ids.size(1) < 10);
    const Gradients all = run(params, [&](Tape& tape) {
      const Var tokens = clip.text.tokens(tape, padded);
      return clip.text.text_projection.forward(tape, clip.text.pooled(tape, tokens, padded));
    });
    for (const bool checkpointing : {false, true}) {
      clip.text.checkpointing = checkpointing;
      for (const TextInput& text : {padded, trimmed})
        check_same(params, run(params, [&](Tape& tape) { return clip.text.encode(tape, text); }), all);
    }
  }
}

// What f_g costs with LoRA on q, k, v and out, in multiply-adds: no dW of a frozen weight, no dX below the
// first adapter, one row an image in the last of two blocks.
TEST_CASE("savings: no product is computed that nobody asked for") {
  Clip clip(tiny_clip());
  clip.init(1);
  freeze(clip.params());
  GenClip g = GenClip::start(clip.image, {}, false, 1);
  const int64_t B = 3, T = 5, W = 24, H = 48, E = 12, r = g.config.lora_rank;
  const int64_t N = B * T, lora = W * r;  // a skinny product, for a row
  const Context ctx;
  Tape tape(ctx);
  auto work = [before = cpu::linear_multiply_adds()]() mutable {
    const int64_t now = cpu::linear_multiply_adds();
    return now - std::exchange(before, now);
  };
  const Var z = g.encode_generated(tape, Var(random({B, 16, 16, 3}, 2, DType::float32)));
  const int64_t forward = work();
  const int64_t adapted = W * W + 2 * lora, mlp = 2 * W * H;
  CHECK(forward == N * (4 * adapted + mlp) + N * 2 * adapted + B * (2 * adapted + mlp) + B * W * E);
  tape.backward(z, random(z.shape(), 3, DType::float32));
  const int64_t back = W * W + 4 * lora;  // dX; dA, dB and what flows through both
  const int64_t below = 3 * lora;         // the input of block 1 needs no gradient: dB, its dX, dA
  const int64_t first = N * (3 * below + back + mlp);
  const int64_t last = N * 2 * back + B * (2 * back + mlp) + B * 2 * W * E;
  CHECK(work() == first + last);
}

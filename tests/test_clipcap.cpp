// Protects the captioner: the key-value cache equals the whole pass, padding is masked, greedy and beam
// search end and do not depend on the batch, the end token is learned, one batch is learned by heart.
#include "catch.h"

#include <cmath>

#include "autograd/functions.h"
#include "gradcheck.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;

namespace {

const std::vector<std::vector<int32_t>> kCaptions{
    {1, 2, 3}, {4, 0, 0, 6, 7}, {8}};  // id 0 is a word like any other

}  // namespace

TEST_CASE("gpt2: step by step with a cache equals the whole pass") {
  const Context ctx;
  Tape tape(ctx, false);
  ClipCap model = random_captioner();
  const Tensor ids = Tensor::from(std::vector<int32_t>{1, 5, 2, 9, 7, 3, 3, 8, 0, 4}, {2, 5});
  const Tensor whole = model.gpt.hidden(tape, model.gpt.embed(tape, ids)).value;
  KvCache cache;
  for (int64_t t = 0; t < 5; ++t) {
    const Tensor column =
        Tensor::from(std::vector<int32_t>{ids.data<int32_t>()[t], ids.data<int32_t>()[5 + t]}, {2, 1});
    const Tensor step = model.gpt.hidden(tape, model.gpt.embed(tape, column), &cache).value;
    const Tensor expected = slice(tape, Var(whole), 1, t, t + 1).value;
    CHECK(close(step, expected, 1e-5) == "");
  }
}

TEST_CASE("clipcap: the loss of a batch is the token mean of its rows, whatever the padding") {
  const Context ctx;
  ClipCap model = random_captioner();
  const Tensor x = random({3, 12}, 1, DType::float32);
  const auto loss = [&](const Tensor& e, const std::vector<std::vector<int32_t>>& captions) {
    Tape tape(ctx, false);
    return model.loss(tape, Var(e), captions).value.item();
  };
  double sum = 0, tokens = 0;
  for (int64_t b = 0; b < 3; ++b) {
    const auto& caption = kCaptions[static_cast<size_t>(b)];
    const auto n = static_cast<double>(caption.size() + 1);
    sum += n * loss(x.rows(b, b + 1), {caption});
    tokens += n;
  }
  CHECK(std::abs(loss(x, kCaptions) - sum / tokens) < 1e-4);
}

TEST_CASE("clipcap: decoding 64 images at once gives the tokens of 64 single runs, in any order") {
  const Context ctx;
  ClipCap model = random_captioner();
  const Tensor x = random({64, 12}, 1, DType::float32);
  Tensor turned = Tensor::empty(x.shape());
  for (int64_t b = 0; b < 64; ++b) turned.rows(b, b + 1).copy_from(x.rows(63 - b, 64 - b));
  for (const DecodeOptions& options :
       {DecodeOptions{.min_length = 1, .max_length = 8}, DecodeOptions{.beams = 3, .max_length = 8},
        DecodeOptions{.beams = 3, .max_length = 8, .rule = DecodeRule::clipcap},
        DecodeOptions{.max_length = 8, .sample = true, .top_p = 0.9, .seed = 4}}) {
    const auto all = model.decode(ctx, x, options), back = model.decode(ctx, turned, options);
    DecodeOptions no_cache = options;
    no_cache.cache = false;
    const auto again = model.decode(ctx, x, no_cache);
    for (size_t b = 0; b < 64; ++b) {
      const auto row = static_cast<int64_t>(b);
      CHECK(model.decode(ctx, x.rows(row, row + 1), options)[0].tokens == all[b].tokens);
      CHECK(back[63 - b].tokens == all[b].tokens);
      CHECK(again[b].tokens == all[b].tokens);  // key-value cache on and off
      CHECK(std::abs(again[b].logprob - all[b].logprob) < 1e-4);
      CHECK(all[b].tokens.size() <= 8);
    }
  }
}

TEST_CASE("clipcap: captions are learned by heart and end where they end") {
  const Context ctx;
  ClipCap model(tiny_clipcap());
  model.init(3);
  const Tensor x = random({3, 12}, 1, DType::float32);
  const auto loss = [&](Tape& tape) { return model.loss(tape, Var(x), kCaptions); };
  CHECK(overfit(model.params(), loss, 150, 5e-3) < 0.05);
  for (const int beams : {1, 4}) {
    const auto decoded = model.decode(ctx, x, {.beams = beams, .min_length = 0, .max_length = 10});
    for (size_t b = 0; b < 3; ++b) {
      CHECK(decoded[b].tokens == kCaptions[b]);
      CHECK(decoded[b].logprob > -1);
    }
  }
}

#include "tiny.h"

#include "core/rng.h"
#include "data/bpe_train.h"
#include "data/tabletop.h"
#include "train/optimiser.h"

namespace gmail::test {

ClipConfig tiny_clip() {
  ClipConfig c;
  c.projection_dim = 12;
  c.vision = {24, 48, 2, 3, Activation::quick_gelu, 1e-5};
  c.text = {24, 40, 2, 2, Activation::quick_gelu, 1e-5};
  c.image_size = 16;
  c.patch_size = 8;
  c.vocab_size = 30;
  c.max_position_embeddings = 10;
  return c;
}

UnetConfig tiny_unet() {
  UnetConfig c;
  c.sample_size = 8;
  c.in_channels = c.out_channels = 3;
  c.cross_attention_dim = c.pooled_dim = 24;
  c.block_out_channels = {8, 16};
  c.attention_head_dim = {1, 2};
  c.down_attention = {false, true};
  c.norm_num_groups = 4;
  c.pixel_unshuffle = 2;
  return c;
}

ClipCapConfig tiny_clipcap() {
  ClipCapConfig c;
  c.clip_dim = 12;
  c.prefix_length = 3;
  c.end_id = 29;
  c.gpt = {.vocab_size = 30, .n_positions = 16, .n_embd = 16, .n_layer = 2, .n_head = 2};
  return c;
}

ClipModel tiny_model() {
  std::vector<std::string> captions;
  for (int64_t i = 0; i < 40; ++i)
    for (const std::string& caption : captions_of(make_scene({}, i))) captions.push_back(caption);
  Tokenizer tokenizer = train_bpe(captions, 600);
  ClipConfig config = tiny_clip();
  config.vocab_size = tokenizer.vocab_size();
  config.max_position_embeddings = 32;
  ClipModel model{Clip(config), std::move(tokenizer),
                  Preprocess::square(config.image_size, kHalfNormalisation)};
  model.clip.init(1);
  freeze(model.clip.params());
  return model;
}

Unet random_unet() {
  Unet unet(tiny_unet());
  unet.init(1);
  for (Param* p : unet.params())  // the zero ends too, so that every path counts
    if (p->value.rank() > 1) init_normal(*p, 0.15, 2);
  return unet;
}

ClipCap random_captioner() {
  ClipCap model(tiny_clipcap());
  model.init(3);
  for (Param* p : model.params())
    if (p->value.rank() > 1) init_normal(*p, 0.3, 5);
  return model;
}

TextInput tiny_text(int64_t rows, int64_t context, int64_t vocab) {
  Tensor ids = Tensor::zeros({rows, context}, DType::int32), end = Tensor::zeros({rows}, DType::int32);
  Rng rng(5, Purpose::test);
  for (int64_t b = 0; b < rows; ++b) {
    const int64_t last = 2 + b % (context - 2);
    int32_t* row = ids.data<int32_t>() + b * context;
    row[0] = static_cast<int32_t>(vocab - 2);
    for (int64_t t = 1; t < last; ++t) row[t] = static_cast<int32_t>(rng.below(vocab - 2));
    row[last] = static_cast<int32_t>(vocab - 1);
    end.data<int32_t>()[b] = static_cast<int32_t>(last);
  }
  return {ids, end};
}

void to_double(const ParamList& params) {
  for (Param* p : params) p->value = p->value.to(DType::float64);
}

double overfit(const ParamList& params, const std::function<Var(Tape&)>& loss, int64_t steps, double lr) {
  const Context ctx;
  Optimiser optimiser(ctx, params, {.adamw = {.weight_decay = 0}, .clip = 0, .ema_decay = 0});
  double last = 0;
  for (int64_t k = 0; k < steps; ++k) {
    optimiser.zero_grad();
    Tape tape(ctx);
    const Var value = loss(tape);
    last = value.value.item();
    tape.backward(value);
    optimiser.update(lr, k);
  }
  return last;
}

}  // namespace gmail::test

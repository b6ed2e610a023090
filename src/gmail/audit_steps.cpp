#include "gmail/audit_steps.h"

#include <algorithm>
#include <memory>

#include "core/rng.h"
#include "gmail/align.h"
#include "gmail/pretrain.h"

namespace gmail {
namespace {

void stir(const ParamList& params, uint64_t seed) {
  for (Param* p : params) {
    Tensor noise = Tensor::empty(p->value.shape());
    fill_normal(noise, 0.02, seed, Purpose::audit, 1, stream_index(p->name));
    float* value = p->value.data<float>();
    for (int64_t i = 0; i < noise.numel(); ++i) value[i] += noise.data<float>()[i];
  }
}

// normal numbers; `index` tells the inputs of a step apart
Tensor random_input(const Shape& shape, uint64_t seed, uint64_t index) {
  Tensor t = Tensor::empty(shape);
  fill_normal(t, 1, seed, Purpose::audit, 2, index);
  return t;
}

std::vector<int32_t> random_words(int64_t count, int64_t vocabulary, uint64_t seed, int64_t row) {
  Rng rng(seed, Purpose::audit, 3, static_cast<uint64_t>(row));
  std::vector<int32_t> words;
  for (int64_t i = 0; i < count; ++i) words.push_back(static_cast<int32_t>(rng.below(vocabulary)));
  return words;
}

// Texts of 2 .. tokens tokens, the last of which is the end token; the last row repeats the first.
TextInput random_text(const ClipConfig& c, const AuditSizes& s) {
  GMAIL_INPUT(s.tokens >= 2 && s.tokens <= c.max_position_embeddings, "[audit] ", s.tokens,
              " tokens, the text tower takes 2 to ", c.max_position_embeddings);
  Tensor ids = Tensor::zeros({s.batch, s.tokens}, DType::int32), end = Tensor::zeros({s.batch}, DType::int32);
  for (int64_t b = 0; b < s.batch; ++b) {
    const int64_t row = b == s.batch - 1 ? 0 : b, length = s.tokens - row % (s.tokens - 1);
    const auto words = random_words(length, c.vocab_size, s.seed, row);
    std::copy(words.begin(), words.end(), ids.data<int32_t>() + b * s.tokens);
    end.data<int32_t>()[b] = static_cast<int32_t>(length - 1);
  }
  return make_text_input(ids, end);
}

// Row i's caption or picture, where the last repeats the first.
Tensor groups(int64_t batch) {
  Tensor group = Tensor::empty({batch}, DType::int32);
  for (int64_t b = 0; b < batch; ++b) group.data<int32_t>()[b] = static_cast<int32_t>(b == batch - 1 ? 0 : b);
  return group;
}

void check(const AuditSizes& s) {
  GMAIL_INPUT(s.batch >= 3, "[audit] a batch of ", s.batch,
              ": expected at least 3, for the last text repeats the first");  // of two, none is a negative
}

std::string tower_text(const TowerConfig& t) {
  return concat("width ", t.hidden_size, ", ", t.num_hidden_layers, " blocks");
}
std::string image_text(const ClipConfig& c) {
  return concat("images ", c.image_size, "/", c.patch_size, " (", tower_text(c.vision), ")");
}

}  // namespace

AuditStep pretrain_audit(const ClipConfig& config, const AuditSizes& s) {
  check(s);
  const auto clip = std::make_shared<Clip>(config);
  clip->init(s.seed);
  stir(clip->params(), s.seed);
  const Tensor images = random_input({s.batch, config.image_size, config.image_size, 3}, s.seed, 0);
  const TextInput text = random_text(config, s);
  const auto loss = [=](Tape& tape, DType type) {
    const Var x(tape.ctx().here(images.to(type)));
    const Var image = clip->image.encode(tape, x), words = clip->text.encode(tape, text);
    return clip_loss(tape, image, words, clip->logit_scale.on(tape), groups(s.batch));
  };
  return {concat("CLIP pretraining: ", image_text(config), ", text (", tower_text(config.text), ")"),
          concat(s.batch, " pairs, texts of up to ", s.tokens, " tokens"), clip->params(), loss};
}

AuditStep align_audit(const ClipConfig& config, const AlignAudit& o, const AuditSizes& s) {
  check(s);
  GMAIL_INPUT(o.tau > 0, "[audit] tau must be positive, got ", o.tau);
  struct Towers {
    ImageTower f_r;
    GenClip gen;
  };
  const auto towers = std::make_shared<Towers>(Towers{ImageTower(config), {}});
  towers->f_r.init(s.seed);
  ParamList params;
  towers->f_r.collect(params);
  stir(params, s.seed);
  freeze(params);
  towers->gen = GenClip::start(towers->f_r, o.gen, false, s.seed);
  stir(towers->gen.trainable(), s.seed);
  towers->gen.f_g.collect(params);
  if (towers->gen.projection_real) towers->gen.projection_real->collect(params);
  const Shape shape{s.batch, config.image_size, config.image_size, 3};
  const Tensor generated = random_input(shape, s.seed, 0), real = random_input(shape, s.seed, 1);
  const auto loss = [=](Tape& tape, DType type) {
    const Var x_g(tape.ctx().here(generated.to(type))), x_r(tape.ctx().here(real.to(type)));
    const Var z_g = towers->gen.encode_generated(tape, x_g);
    const Var z_r = towers->gen.encode_real(tape, towers->f_r, x_r);
    return alignment_loss(tape, z_g, z_r, o.tau, o.symmetric, groups(s.batch));
  };
  return {concat("GMAIL alignment, eq. (1): ", image_text(config), ", LoRA of rank ", o.gen.lora_rank),
          concat(s.batch, " pairs of a generated and a real image"), params, loss};
}

AuditStep generator_audit(const ClipConfig& text, const UnetConfig& unet, const DiffusionConfig& diffusion,
                          const AuditSizes& s) {
  check(s);
  GMAIL_INPUT(unet.cross_attention_dim == text.text.hidden_size, "[audit] cross_attention_dim ",
              unet.cross_attention_dim, ", the text tower has width ", text.text.hidden_size);
  struct Models {
    TextTower words;
    Unet unet;
  };
  const auto models = std::make_shared<Models>(Models{TextTower(text), Unet(unet)});
  models->words.init(s.seed);
  models->unet.init(s.seed);
  ParamList params = models->unet.params(), frozen;
  models->words.collect(frozen);
  stir(params, s.seed);
  stir(frozen, s.seed);
  freeze(frozen);
  params.insert(params.end(), frozen.begin(), frozen.end());
  const Shape shape{s.batch, unet.sample_size, unet.sample_size, unet.in_channels};
  const Noised noised = add_noise(diffusion, random_input(shape, s.seed, 0), s.seed, 0);
  const TextInput input = random_text(text, s);
  const auto loss = [=](Tape& tape, DType type) {
    const Var tokens = models->words.tokens(tape, input);
    const Var pooled = models->words.pooled(tape, tokens, input);
    const TextKeys keys = models->unet.text_keys(tape, tokens, input.key_mask(), pooled);
    const Var x_t(tape.ctx().here(noised.x_t.to(type)));
    const Var prediction = models->unet.forward(tape, x_t, noised.t, keys);
    return weighted_mse(tape, prediction, noised.target, noised.weight);
  };
  std::string channels;
  for (const int64_t c : unet.block_out_channels) channels += (channels.empty() ? "" : ", ") + concat(c);
  return {concat("diffusion generator: U-Net on images of ", unet.sample_size, " (channels ", channels,
                 "), frozen text tower"),
          concat(s.batch, " images, texts of up to ", s.tokens, " tokens"), params, loss};
}

AuditStep caption_audit(const ClipCapConfig& config, const AuditSizes& s) {
  check(s);
  GMAIL_INPUT(s.tokens >= 2 && config.prefix_length + s.tokens <= config.gpt.n_positions, "[audit] ",
              s.tokens, " tokens, the captioner takes 2 to ", config.gpt.n_positions - config.prefix_length);
  const auto model = std::make_shared<ClipCap>(config);
  model->init(s.seed);
  stir(model->params(), s.seed);
  const Tensor embeddings = random_input({s.batch, config.clip_dim}, s.seed, 0);
  std::vector<std::vector<int32_t>> captions;
  for (int64_t b = 0; b < s.batch; ++b)
    captions.push_back(random_words(s.tokens - b % (s.tokens - 1), config.gpt.vocab_size, s.seed, b));
  const auto loss = [=](Tape& tape, DType type) {
    return model->loss(tape, Var(tape.ctx().here(embeddings.to(type))), captions);
  };
  return {concat("ClipCap captioner: GPT-2 (width ", config.gpt.n_embd, ", ", config.gpt.n_layer,
                 " blocks), prefix of ", config.prefix_length),
          concat(s.batch, " captions of up to ", s.tokens, " tokens"), model->params(), loss};
}

}  // namespace gmail

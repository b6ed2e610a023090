// Protects CLIP: names and counts of Hugging Face's CLIPModel, trimmed text, batch independence, whole-model
// gradients against finite differences, LoRA that starts as the base and merges exactly, one batch learned
// by heart.
#include "catch.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "autograd/functions.h"
#include "core/rng.h"
#include "gmail/pretrain.h"
#include "gradcheck.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;

namespace {

Tensor images(int64_t n, int64_t size, DType dtype = DType::float32) {
  return random({n, size, size, 3}, 7, dtype);
}

Tensor encode_image(Clip& clip, const Tensor& x) {
  const Context ctx;
  Tape tape(ctx, false);
  return clip.image.encode(tape, Var(x)).value.clone();
}

}  // namespace

TEST_CASE("clip: parameter names are Hugging Face's") {
  Clip clip(tiny_clip());
  std::set<std::string> names;
  for (const Param* p : clip.params()) names.insert(p->name);
  CHECK(names.size() == clip.params().size());
  for (const char* name :
       {"logit_scale", "text_model.embeddings.token_embedding.weight",
        "text_model.embeddings.position_embedding.weight",
        "text_model.encoder.layers.1.self_attn.q_proj.bias", "text_model.final_layer_norm.weight",
        "text_projection.weight", "vision_model.embeddings.class_embedding",
        "vision_model.embeddings.patch_embedding.weight", "vision_model.embeddings.position_embedding.weight",
        "vision_model.pre_layrnorm.bias", "vision_model.encoder.layers.0.mlp.fc2.weight",
        "vision_model.encoder.layers.1.layer_norm2.weight", "vision_model.post_layernorm.weight",
        "visual_projection.weight"})
    CHECK(names.contains(name));
}

TEST_CASE("clip: padding behind the end token changes nothing") {
  Clip clip(tiny_clip());
  clip.init(1);
  const Context ctx;
  const TextInput padded = tiny_text(4, 10, 30);
  const TextInput trimmed = make_text_input(padded.ids, padded.end);
  CHECK(trimmed.ids.size(1) == 6);
  Tape tape(ctx, false);
  CHECK(close(clip.text.encode(tape, trimmed).value, clip.text.encode(tape, padded).value, 1e-5) == "");
}

TEST_CASE("clip: gradients of the whole model") {
  Clip clip(tiny_clip());
  clip.init(3);
  to_double(clip.params());
  const TextInput text = tiny_text(3, 6, 30);
  const Tensor x = images(3, 16, DType::float64);
  const Context ctx;
  const auto loss = [&](Tape& tape) {
    return clip_loss(tape, clip.image.encode(tape, Var(x)), clip.text.encode(tape, text),
                     clip.logit_scale.on(tape), Tensor());
  };
  Tape tape(ctx);
  tape.backward(loss(tape));
  const auto value = [&] {
    Tape plain(ctx, false);
    return loss(plain).value.item();
  };
  constexpr double h = 1e-5;
  for (Param* p : clip.params()) {
    INFO(p->name);
    REQUIRE(p->slot.grad.defined());
    const int64_t i = p->value.numel() / 2;  // one element of each parameter
    double& v = p->value.data<double>()[i];
    const double v0 = v;
    v = v0 + h;
    const double up = value();
    v = v0 - h;
    const double down = value();
    v = v0;
    const double numeric = (up - down) / (2 * h), analytic = p->slot.grad.at(i);
    CHECK(std::abs(numeric - analytic) <= 1e-6 * std::max(1.0, std::abs(numeric)));
  }
}

TEST_CASE("clip: LoRA starts as the base, trains only its matrices, and merges exactly") {
  Clip clip(tiny_clip());
  clip.init(1);
  const Tensor x = images(3, 16), base = encode_image(clip, x);
  clip.image.each_linear([](Linear& l) { l.add_lora(2, 4, 9); });
  CHECK(close(encode_image(clip, x), base, 0) == "");
  ParamList params;
  clip.image.collect(params);
  for (Param* p : params) {
    const bool is_lora = p->name.find(".lora_") != std::string::npos;
    if (p->name.find("_proj.") != std::string::npos && p->name.find("encoder") != std::string::npos)
      CHECK(p->trainable == is_lora);
    if (p->name.find(".lora_B.") != std::string::npos) fill_normal(p->value, 0.1, 4, Purpose::test, 0, 1);
  }
  const Tensor tuned = encode_image(clip, x);
  CHECK(close(tuned, base, 1e-3) != "");
  clip.image.each_linear([](Linear& l) { l.merge_lora(); });
  CHECK(close(encode_image(clip, x), tuned, 1e-5) == "");
}

TEST_CASE("clip: one batch is learned by heart") {
  Clip clip(tiny_clip());
  clip.init(1);
  const TextInput text = tiny_text(6, 8, 30);
  const Tensor x = images(6, 16);
  const auto loss = [&](Tape& tape) {
    return clip_loss(tape, clip.image.encode(tape, Var(x)), clip.text.encode(tape, text),
                     clip.logit_scale.on(tape), Tensor());
  };
  CHECK(overfit(clip.params(), loss, 60, 3e-3) < 0.05);
}

TEST_CASE("clip: a config without hidden_act is refused, never guessed") {
  auto json = tiny_clip().to_json();
  json["vision_config"].erase("hidden_act");
  CHECK_THROWS_AS(ClipConfig::from_json(json, "config.json"), InputError);
  CHECK(ClipConfig::from_json(tiny_clip().to_json(), "config.json").to_json() == tiny_clip().to_json());
}

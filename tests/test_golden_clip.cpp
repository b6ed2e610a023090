// Protects the model's arithmetic: CLIPs of odd sizes give transformers' embeddings, logits, contrastive loss
// and gradients, with either activation, other epsilons, padding of either kind.
#include "catch.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "autograd/functions.h"
#include "gmail/pretrain.h"
#include "golden.h"
#include "io/json.h"
#include "nn/param_file.h"

using namespace gmail;
using namespace gmail::test;

namespace {

double largest(const Tensor& t) {
  double most = 0;
  for (int64_t i = 0; i < t.numel(); ++i) most = std::max(most, std::abs(t.at(i)));
  return most;
}

}  // namespace

TEST_CASE("golden: embeddings, logits, loss and gradients of transformers' CLIPModel") {
  for (const char* name : {"clip_quick_gelu", "clip_gelu", "clip_mixed"}) {
    INFO(name);
    const auto folder = golden_folder(name);
    const Golden golden(folder / "golden.safetensors");
    const std::string config = (folder / "config.json").string();
    Clip clip(ClipConfig::from_json(read_json(config), config));
    load_params(SafetensorsFile(folder / "model.safetensors"), clip.params());
    const TextInput padded{golden["input_ids"], golden["end"]};
    const Context ctx;
    for (const bool trimmed : {false, true}) {
      for (Param* p : clip.params()) p->slot = {};
      Tape tape(ctx);
      const TextInput text = trimmed ? make_text_input(padded.ids, padded.end) : padded;
      const Var image_embeds = clip.image.encode(tape, Var(golden["pixels"]));
      const Var text_embeds = clip.text.encode(tape, text);
      CHECK(golden.compare("image_embeds", image_embeds.value) == "");
      CHECK(golden.compare("text_embeds", text_embeds.value) == "");
      Tape plain(ctx, false);
      const Var cosines = linear(plain, l2_normalize(plain, Var(image_embeds.value)),
                                 l2_normalize(plain, Var(text_embeds.value)), Var());
      Tensor logits = cosines.value.clone();
      for (float& x : std::span(logits.data<float>(), static_cast<size_t>(logits.numel())))
        x *= std::exp(*clip.logit_scale.value.data<float>());
      CHECK(golden.compare("logits_per_image", logits) == "");

      const Var loss = clip_loss(tape, image_embeds, text_embeds, clip.logit_scale.on(tape), Tensor());
      CHECK(golden.compare("loss", loss.value) == "");
      tape.backward(loss);
      double most = 0;
      for (Param* p : clip.params()) most = std::max(most, largest(golden["grad." + p->name]));
      for (Param* p : clip.params()) {
        INFO(p->name);
        REQUIRE(p->slot.grad.defined());
        CHECK(golden.compare("grad." + p->name, p->slot.grad, "grad", golden.number("floor.grad") * most) ==
              "");
      }
    }
  }
}

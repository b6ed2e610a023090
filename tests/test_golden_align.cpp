// Protects the exchange of trainings and adapters: ten steps of the alignment follow PyTorch's losses,
// gradient norms and matrices; adapters that peft saved give peft's embeddings here; what is written is read
// again, names its layers so that peft finds no others, and everything that a LoRA is not is refused by name.
#include "catch.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "autograd/functions.h"
#include "fuzz.h"
#include "gmail/align.h"
#include "gmail/name_pattern.h"
#include "golden.h"
#include "gradcheck.h"
#include "io/json.h"
#include "temporary.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;
namespace fs = std::filesystem;

namespace {

Tensor column(const std::vector<double>& values) {
  Tensor t = Tensor::empty({std::ssize(values)});
  for (size_t i = 0; i < values.size(); ++i) t.data<float>()[i] = static_cast<float>(values[i]);
  return t;
}

AlignOptions options_of(const Golden& golden, const fs::path& out) {
  AlignOptions o;
  o.manifest = golden_folder("align") / "manifest.jsonl";
  o.init = golden_folder("align") / "init";
  o.sequential = true;
  o.batch = static_cast<int64_t>(golden.number("batch"));
  o.tau = golden.number("tau");
  o.mask_duplicates = golden.number("mask_duplicates") != 0;
  o.train.out = out;
  o.train.steps = static_cast<int64_t>(golden.number("steps"));
  o.train.lr = golden.number("lr");
  o.train.adamw.weight_decay = golden.number("weight_decay");
  o.train.clip = golden.number("clip");
  o.train.schedule.kind = schedule_from(golden.file().metadata().at("schedule"));
  o.train.quiet = true;
  return o;
}

// image and text embeddings of the inputs by f_g (or the way of real images) and h
struct Embedded {
  Tensor image, real, text, logits;
};
Embedded embed(ClipModel& model, GenClip& g, const Golden& in) {
  const Context ctx;
  Tape tape(ctx, false);
  const Var pixels(in["pixels"]);
  const Var image = g.encode_generated(tape, pixels);
  const Var text = model.clip.text.encode(tape, {in["input_ids"], in["end"]});
  const Tensor cosines =
      linear(tape, l2_normalize(tape, image), l2_normalize(tape, text), Var()).value.clone();
  Tensor logits = cosines;
  for (float& x : logits.span<float>())
    x *= std::exp(static_cast<float>(model.clip.logit_scale.value.item()));
  return {image.value, g.encode_real(tape, model.clip.image, pixels).value, text.value, logits};
}

ClipModel base_model() { return ClipModel::load(golden_folder("align") / "model"); }

Json config_in(const fs::path& folder) { return read_json(folder / "adapter_config.json"); }

}  // namespace

TEST_CASE("golden: ten steps of the alignment follow PyTorch") {
  const TemporaryDir dir;
  for (const std::string name : {"constant", "cosine_clipped"}) {
    INFO(name);
    const Golden golden(golden_folder("align") / (name + ".safetensors"));
    ClipModel model = base_model();
    const AlignOptions o = options_of(golden, dir / name);
    align(Context(), model, o);
    std::vector<double> losses, norms, lrs;
    std::ifstream log(o.train.out / "log.jsonl");
    for (std::string text; std::getline(log, text);) {
      const Json line = parse_json(text, "log.jsonl");
      losses.push_back(line.at("loss"));
      norms.push_back(line.at("grad_norm"));
      lrs.push_back(line.at("lr"));
    }
    CHECK(golden.compare("losses", column(losses)) == "");
    CHECK(golden.compare("norms", column(norms)) == "");
    CHECK(golden.compare("lrs", column(lrs)) == "");
    const SafetensorsFile adapter(o.train.out / "adapter_model.safetensors"),
        projections(o.train.out / "projections.safetensors");
    int64_t matrices = 0;
    for (const std::string& tensor : golden.file().names()) {
      if (!tensor.starts_with("final.")) continue;
      const std::string own = tensor.substr(6);
      INFO(own);
      const bool projection = projections.has(own);
      CHECK(golden.compare(tensor,
                           projection ? projections.read(own) : adapter.read("base_model.model." + own),
                           "final") == "");
      ++matrices;
    }
    CHECK(matrices == 2 * 4 * 2 + 1);
    CHECK(config_in(o.train.out)["r"] == 3);
    CHECK(config_in(o.train.out)["lora_alpha"] == 6);
  }
}

TEST_CASE("golden: adapters that peft saved") {
  const Golden in(golden_folder("peft") / "inputs.safetensors");
  const TemporaryDir dir;
  for (const std::string name : {"vision_regex", "both_towers", "all_linear", "saved_projection"}) {
    INFO(name);
    const fs::path folder = golden_folder("peft") / name;
    const Golden golden(folder / "golden.safetensors");
    ClipModel model = base_model();
    GenClip g = GenClip::load(folder, model.clip);
    const Embedded e = embed(model, g, in);
    CHECK(golden.compare("image_embeds", e.image) == "");
    CHECK(golden.compare("text_embeds", e.text) == "");
    CHECK(golden.compare("logits_per_image", e.logits) == "");
    CHECK(close(e.real, e.image, 1e-6) == "");  // no alignment: a fine-tuned CLIP
    // saved as an alignment, it is the same f_g; ranks and alphas of layers survive
    g.save(dir / name, "base");
    ClipModel fresh = base_model();
    GenClip again = GenClip::load(dir / name, fresh.clip);
    CHECK(close(embed(fresh, again, in).image, e.image, 1e-6) == "");
    again.merge();
    CHECK(close(embed(fresh, again, in).image, e.image, 1e-5) == "");
  }
}

TEST_CASE("adapter: its configuration finds its own layers alone") {
  const TemporaryDir dir;
  ClipModel model = tiny_model();
  GenClip g = GenClip::start(model.clip.image, {.lora_rank = 2, .lora_alpha = 3}, false, 1);
  g.f_g.layers[1].self_attn.v_proj.add_lora(3, 5, 1);
  g.save(dir / "a", "some/clip");
  const Json config = config_in(dir / "a");
  CHECK(config["base_model_name_or_path"] == "some/clip");
  CHECK(config["r"] == 2);
  CHECK(config["lora_alpha"].dump() == "3");
  CHECK(config["rank_pattern"].dump() == R"({"vision_model.encoder.layers.1.self_attn.v_proj":3})");
  CHECK(config["alpha_pattern"].dump() == R"({"vision_model.encoder.layers.1.self_attn.v_proj":5.0})");
  REQUIRE(config["target_modules"].size() == 8);
  for (const auto& path : config["target_modules"])
    CHECK(path.get<std::string>().starts_with("vision_model.encoder.layers."));
  for (const std::string& name : SafetensorsFile(dir / "a" / "adapter_model.safetensors").names())
    CHECK(name.starts_with("base_model.model.vision_model.encoder.layers."));
  const AdapterFile back = AdapterFile::read(dir / "a");
  CHECK(back.base_model == "some/clip");
  for (const AdapterFile::Update& u : back.updates)
    CHECK(u.scale == Approx(u.a.size(0) == 3 ? 5.0 / 3 : 1.5).epsilon(1e-15));
  // an alignment may start from LoRA on the image tower's blocks alone
  for (const char* other : {"both_towers", "saved_projection"}) {
    ClipModel base = base_model();
    CHECK_THROWS_AS(
        GenClip::start(base.clip.image, {}, false, 0, AdapterFile::read(golden_folder("peft") / other)),
        InputError);
  }
}

TEST_CASE("adapter: a folder that does not fit is refused, and nothing is changed") {
  const Golden in(golden_folder("peft") / "inputs.safetensors");
  ClipModel other = tiny_model();
  CHECK_THROWS_WITH(GenClip::load(golden_folder("peft") / "both_towers", other.clip),
                    Contains("does not fit the model") &&
                        Contains("text_model.encoder.layers.0.mlp.fc2 (for a weight (8,12)"));
  CHECK(!other.clip.text.layers[0].self_attn.q_proj.lora);
}

TEST_CASE("adapter: what a LoRA is not is refused, naming the field") {
  const TemporaryDir dir;
  const fs::path from = golden_folder("peft") / "both_towers", folder = dir / "bad";
  fs::create_directory(folder);
  fs::copy(from / "adapter_model.safetensors", folder);
  const Json good = config_in(from);
  const auto read = [&](const char* field, const Json& value) {
    Json bad = good;
    bad[field] = value;
    write_json(folder / "adapter_config.json", bad);
    return AdapterFile::read(folder);
  };
  for (const auto& [field, value] : std::vector<std::pair<const char*, Json>>{
           {"peft_type", "LOHA"},
           {"bias", "lora_only"},
           {"bias", nullptr},
           {"use_dora", true},
           {"fan_in_fan_out", true},
           {"lora_bias", true},
           {"modules_to_save", Json::array({"post_layernorm"})},
           {"modules_to_save", Json::array({"visual_projection"})},  // which the tensors do not have
           {"layer_replication", Json::array({Json::array({0, 2})})},
           {"init_lora_weights", "pissa_niter_4"},
           {"lora_alpha", "8"},
           {"alpha_pattern", Json{{"q_proj", "x"}}},
           {"alpha_pattern", Json{{"(?!q_proj)", 2}}},
           {"alpha_pattern", Json::array({1})}})
    CHECK_THROWS_WITH(read(field, value),
                      Contains("adapter_config.json: field \"" + std::string(field) + "\""));
  CHECK(read("target_modules", "all-linear").updates.size() == 12);
  CHECK(read("use_rslora", true).updates[0].scale == Approx(1 / std::sqrt(2.0)));  // fc2, alpha 1
  CHECK(read("modules_to_save", Json::array()).updates.size() == 12);
  write_json(folder / "adapter_config.json", good);
  save_safetensors(folder / "adapter_model.safetensors",
                   {{"base_model.model.x.lora_A.weight", random({2, 3}, 1)}});
  CHECK_THROWS_WITH(AdapterFile::read(folder), Contains("no tensor base_model.model.x.lora_B.weight"));
  save_safetensors(folder / "adapter_model.safetensors",
                   {{"base_model.model.x.lora_A.weight", random({2, 3}, 1)},
                    {"base_model.model.x.lora_B.weight", random({4, 3}, 1)}});
  CHECK_THROWS_WITH(AdapterFile::read(folder), Contains("found (2,3) and (4,3)"));
  save_safetensors(folder / "adapter_model.safetensors",
                   {{"base_model.model.x.lora_magnitude_vector", random({2}, 1)}});
  CHECK_THROWS_WITH(AdapterFile::read(folder), Contains("lora_magnitude_vector"));
}

TEST_CASE("adapter: mutated configurations are read or refused") {
  const TemporaryDir dir;
  const fs::path from = golden_folder("peft") / "vision_regex";
  fs::copy(from / "adapter_model.safetensors", dir.path());
  const std::string good = read_text(from / "adapter_config.json");
  const auto read = [&](const std::string& bytes) {
    write_without_flush(dir / "adapter_config.json", bytes);
    (void)AdapterFile::read(dir.path());
  };
  CHECK(count_refused(good, good.size(), fuzz_rounds(200), read) > 0);
}

TEST_CASE("adapter: patterns match whole paths or their ends") {
  const std::string path = "vision_model.encoder.layers.10.self_attn.q_proj";
  const auto matches = [&](const std::string& pattern) { return pattern_matches(pattern, path, "here"); };
  for (const char* yes : {"q_proj", "self_attn.q_proj", "^vision_model.*", R"(layers\.\d+\..*)", "(q|v)_proj",
                          "[qv]_proj", R"(layers\.(?:1|10)\.self_attn\.\w+)", R"(vision_model\..*?_proj)",
                          R"([\d]+.self_attn.q_proj)", R"(.*[^\.]_proj)", ".*"})
    CHECK(matches(yes));
  for (const char* no : {"proj", "_proj", "v_proj", "q_pro", R"(layers\.1\..*)", "vision_model", "^q_proj"})
    CHECK_FALSE(matches(no));
  for (const char* bad : {"(", "a{2}", "(?=a)", R"(\1)", "a**", "[", "[]", R"([\]])", "*("})
    CHECK_THROWS_AS(matches(bad), InputError);
}

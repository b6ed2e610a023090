// Protects CLIP models of other programs: what transformers' and open_clip's configurations mean, OpenAI's
// names, the numbers of open_clip's own model, interpolated positions (goldens of PyTorch), conversion there
// and back to the same bytes, and errors that name everything that is wrong as the file calls it.
#include "catch.h"

#include <nlohmann/json.hpp>

#include "core/rng.h"
#include "desk.h"
#include "gmail/convert_clip.h"
#include "gmail/model_folder.h"
#include "golden.h"
#include "gradcheck.h"
#include "io/json.h"
#include "models/clip_positions.h"
#include "nn/param_file.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;
namespace fs = std::filesystem;

namespace {

// A folder in Hugging Face's form without a tokenizer; heads of 64, so that its sizes can be read off its
// shapes.
ClipConfig small_clip() {
  ClipConfig c = tiny_clip();
  c.vision = {64, 96, 2, 1, Activation::quick_gelu, 1e-5};
  c.text = {64, 80, 1, 1, Activation::quick_gelu, 1e-5};
  return c;
}

Clip random_clip(const ClipConfig& config) {
  Clip clip(config);
  clip.init(1);
  for (Param* p : clip.params())  // biases and norms too: each must arrive in its place
    if (p->name != "logit_scale") fill_normal(p->value, 0.3, 5, Purpose::test, stream_index(p->name), 1);
  return clip;
}

void write_folder(const fs::path& folder, Clip& clip) {
  make_dirs(folder);
  write_json(folder / "config.json", hf_config(clip.config, clip.config.vocab_size - 1));
  write_json(folder / "preprocessor_config.json",
             Preprocess::square(clip.config.image_size, {{0.1, 0.2, 0.3}, {0.5, 0.5, 0.5}}).to_json());
  save_params(folder / "model.safetensors", clip.params(), {{"format", "pt"}});
}

Clip load(const fs::path& folder, const ClipSaid& said = {}) {
  const ClipFolder f = ClipFolder::open(folder, said);
  Clip clip(f.config);
  f.load(clip);
  if (said.image_size > 0) change_image_size(clip, said.image_size);
  return clip;
}

Tensor encode(Clip& clip, const Tensor& pixels) {
  const Context ctx;
  Tape tape(ctx, false);
  return clip.image.encode(tape, Var(pixels)).value.clone();
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const InputError& e) {
    return e.what();
  }
  return "nothing was refused";
}

}  // namespace

TEST_CASE("clip folders: open_clip's own model gives open_clip's numbers, at another resolution too") {
  const SafetensorsFile golden(golden_folder("clip_open_clip") / "golden.safetensors");
  const ClipFolder f = ClipFolder::open(golden_folder("clip_open_clip"));
  CHECK(f.form == ClipForm::open_clip);
  CHECK(f.config.vision.hidden_act == Activation::gelu_erf);  // its configuration does not say quick_gelu
  CHECK(f.config.vision.num_attention_heads == 3);
  CHECK(f.preprocess.norm.mean[2] == 0.5);
  Clip clip = load(golden_folder("clip_open_clip"));
  CHECK(close(encode(clip, golden.read("pixels")), golden.read("image_embeds"), 1e-5, 1e-5) == "");
  const Tensor ids = golden.read("input_ids");
  const Context ctx;
  Tape tape(ctx, false);
  const TextInput text = make_text_input(ids, text_ends(clip.config, ids));
  CHECK(close(clip.text.encode(tape, text).value, golden.read("text_embeds"), 1e-5, 1e-5) == "");
  Clip larger = load(golden_folder("clip_open_clip"), {.hidden_act = {}, .image_size = 20});
  CHECK(close(encode(larger, golden.read("pixels.20")), golden.read("image_embeds.20"), 1e-5, 1e-5) == "");
  CHECK_THAT(
      message([] { (void)load(golden_folder("clip_open_clip"), {.hidden_act = {}, .image_size = 22}); }),
      Contains("22: expected a multiple of the patches' side 4"));
}

TEST_CASE("clip folders: tables of positions are resized as PyTorch does it") {
  const SafetensorsFile golden(golden_folder("clip_positions") / "golden.safetensors");
  for (const auto& [from, to] : {std::pair(3, 2), {3, 5}, {4, 7}, {7, 3}, {2, 2}, {1, 3}}) {
    const Tensor table = golden.read(concat("table.", from));
    CHECK(close(resize_positions(table, to), golden.read(concat("resized.", from, ".", to)), 1e-6, 1e-6) ==
          "");
  }
  CHECK_THROWS_AS(resize_positions(Tensor::zeros({9, 4}), 2), InputError);
}

TEST_CASE("clip folders: converted there and back, the weights are the same bytes") {
  const TemporaryDir dir;
  Clip clip = random_clip(small_clip());
  write_folder(dir / "hf", clip);

  write_without_flush(dir / "hf" / "LICENSE.txt", "MIT");
  const std::string bytes = read_text(dir / "hf" / "model.safetensors");
  for (const ClipForm form : {ClipForm::openai, ClipForm::open_clip}) {
    const std::string there = form == ClipForm::openai ? "openai" : "open_clip";
    const ConvertReport report = convert_clip({.in = dir / "hf", .out = dir / there, .form = form});
    CHECK(fs::exists(dir / there / "LICENSE.txt"));
    CHECK(has_openai_names(TensorFiles(SafetensorsFile(report.weights))));
    convert_clip({.in = dir / there, .out = dir / (there + "_back")});
    CHECK(read_text(dir / (there + "_back") / "model.safetensors") == bytes);
    CHECK(read_json(dir / (there + "_back") / "config.json") == read_json(dir / "hf" / "config.json"));
    CHECK(ClipFolder::open(dir / there).preprocess.norm.mean[1] == 0.2);
  }
  // types: said, then kept tensor by tensor
  convert_clip({.in = dir / "hf", .out = dir / "half", .form = ClipForm::open_clip, .store = "F16"});
  const fs::path half = dir / "half" / "open_clip_model.safetensors";
  CHECK(SafetensorsFile(half).dtype("visual.transformer.resblocks.1.attn.in_proj_bias") == "F16");
  convert_clip({.in = dir / "half", .out = dir / "half_hf"});
  convert_clip({.in = dir / "half_hf", .out = dir / "half_back", .form = ClipForm::open_clip});
  CHECK(read_text(dir / "half_back" / "open_clip_model.safetensors") == read_text(half));
  // the same model in every form
  const Tensor x = random({2, 16, 16, 3}, 7, DType::float32);
  Clip other = load(dir / "open_clip");
  CHECK(close(encode(clip, x), encode(other, x), 0) == "");
  CHECK_THAT(message([&] { (void)convert_clip({.in = dir / "hf", .out = dir / "hf"}); }),
             Contains("another folder"));
}

TEST_CASE("clip folders: OpenAI's names without a configuration") {
  const TemporaryDir dir;
  Clip clip = random_clip(small_clip());
  write_folder(dir / "hf", clip);
  convert_clip({.in = dir / "hf", .out = dir / "openai", .form = ClipForm::openai});
  // as an archive of OpenAI's has it: three more numbers, and nothing beside it
  const SafetensorsFile file(dir / "openai" / "model.safetensors");
  std::vector<NamedTensor> tensors;
  for (const std::string& name : file.names()) tensors.push_back({name, file.read(name)});
  for (const char* name : {"input_resolution", "context_length", "vocab_size"})
    tensors.push_back({name, Tensor::full({}, 16)});
  make_dirs(dir / "bare");
  save_safetensors(dir / "bare" / "model.safetensors", tensors);
  CHECK_THAT(message([&] { (void)ClipFolder::open(dir / "bare"); }), Contains("--activation quick_gelu"));
  const ClipSaid said{.hidden_act = Activation::quick_gelu, .image_size = 0};
  CHECK(ClipFolder::open(dir / "bare", said).config.to_json() == small_clip().to_json());
  const Tensor x = random({1, 16, 16, 3}, 7, DType::float32);
  Clip bare = load(dir / "bare", said);
  CHECK(close(encode(bare, x), encode(clip, x), 0) == "");
  CHECK_THAT(message([&] {
               (void)ClipFolder::open(dir / "hf", {Activation::gelu_erf, 0});
             }),
             Contains("the activation is quick_gelu, said was gelu"));
}

TEST_CASE("clip folders: all that does not fit is named as in the file") {
  const TemporaryDir dir;
  Clip clip = random_clip(small_clip());
  write_folder(dir / "hf", clip);
  convert_clip({.in = dir / "hf", .out = dir / "there", .form = ClipForm::open_clip});
  const SafetensorsFile file(dir / "there" / "open_clip_model.safetensors");
  std::vector<NamedTensor> tensors;
  for (const std::string& name : file.names()) {
    if (name == "visual.proj" || name == "ln_final.bias") continue;
    const bool cut = name == "transformer.resblocks.0.attn.in_proj_weight";
    tensors.push_back({name, cut ? file.read(name).rows(0, 64) : file.read(name)});
  }
  tensors.push_back({"logit_bias", Tensor::zeros({})});
  fs::remove(dir / "there" / "open_clip_model.safetensors");
  save_safetensors(dir / "there" / "model.safetensors", tensors);
  const std::string text = message([&] { (void)load(dir / "there"); });
  for (const char* part :
       {"2 missing: ln_final.bias, visual.proj", "1 unexpected: logit_bias",
        "1 of another shape: transformer.resblocks.0.attn.in_proj_weight (expected (192,64), found (64,64))"})
    CHECK_THAT(text, Contains(part));
  // buffers of older versions are no tensors of the model's
  std::vector<NamedTensor> old;
  for (const Param* p : clip.params()) old.push_back({p->name, p->value});
  old.push_back({"text_model.embeddings.position_ids", Tensor::zeros({1, 10}, DType::int32)});
  save_safetensors(dir / "hf" / "model.safetensors", old);
  CHECK_NOTHROW(load(dir / "hf"));
}

TEST_CASE("clip folders: the context is the table's") {
  const TemporaryDir dir;
  ClipConfig config = small_clip();
  config.max_position_embeddings = 248;
  Clip clip = random_clip(config);
  write_folder(dir / "long", clip);
  Json json = read_json(dir / "long" / "config.json");
  json["text_config"].erase("max_position_embeddings");
  write_json(dir / "long" / "config.json", json);
  CHECK(ClipFolder::open(dir / "long").config.max_position_embeddings == 248);
  json["text_config"]["max_position_embeddings"] = 77;
  write_json(dir / "long" / "config.json", json);
  const std::string text = message([&] { (void)ClipFolder::open(dir / "long"); });
  CHECK_THAT(text, Contains("a context of 77"));
  CHECK_THAT(text, Contains("248 rows"));
}

TEST_CASE("clip folders: configurations as transformers reads them") {
  const auto read = [](const char* text) { return ClipConfig::from_json(parse_json(text, "c"), "c.json"); };
  // nothing but the activation: the defaults are ViT-B/32's
  const ClipConfig b32 = read(R"({"text_config": {"hidden_act": "quick_gelu"},
                                  "vision_config": {"hidden_act": "gelu", "image_size": [224, 224]}})");
  CHECK(b32.vision.hidden_size == 768);
  CHECK(b32.text.num_attention_heads == 8);
  CHECK(b32.patch_size == 32);
  CHECK(b32.max_position_embeddings == 77);
  CHECK(b32.projection_dim == 512);
  CHECK(b32.text.hidden_act == Activation::quick_gelu);
  CHECK(b32.vision.hidden_act == Activation::gelu_erf);
  // an old file: *_dict stands above, and what it leaves out is the default, not what is below
  const ClipConfig old = read(R"({"projection_dim": 768, "text_config_dict": {"hidden_size": 768},
      "text_config": {"hidden_size": 512, "num_hidden_layers": 3, "hidden_act": "quick_gelu"},
      "vision_config_dict": null, "vision_config": {"hidden_act": "quick_gelu", "patch_size": 14}})");
  CHECK(old.text.hidden_size == 768);
  CHECK(old.text.num_hidden_layers == 12);
  CHECK(old.text.hidden_act == Activation::quick_gelu);
  CHECK(old.patch_size == 14);
  for (const char* bad : {R"({"text_config": {}, "vision_config": {"hidden_act": "gelu"}})",
                          R"({"model_type": "siglip"})", R"({"vision_config": {"hidden_act": "relu6"}})",
                          R"({"vision_config": {"hidden_act": "gelu", "num_channels": 1},
                              "text_config": {"hidden_act": "gelu"}})",
                          R"({"vision_config": {"hidden_act": "gelu", "hidden_size": -1}})",
                          R"({"vision_config": {"hidden_act": "gelu", "num_attention_heads": 7}})"})
    CHECK_THROWS_AS(read(bad), InputError);
}

TEST_CASE("clip folders: configurations as open_clip reads them") {
  const auto read = [](const std::string& model) {
    return open_clip_config(parse_json("{\"model_cfg\": " + model + "}", "c"), "c.json", 77);
  };
  const ClipConfig h14 = read(R"({"embed_dim": 1024,
      "vision_cfg": {"image_size": 224, "layers": 32, "width": 1280, "head_width": 80, "patch_size": 14},
      "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 24}})");
  CHECK(h14.vision.num_attention_heads == 16);
  CHECK(h14.vision.intermediate_size == 5120);
  CHECK(h14.vision.hidden_act == Activation::gelu_erf);
  CHECK(open_clip_config({{"model_cfg", open_clip_json(h14, 49407)}}, "c", 77).to_json() == h14.to_json());
  CHECK(read(R"({"quick_gelu": true, "vision_cfg": {}, "text_cfg": {}})").text.hidden_act ==
        Activation::quick_gelu);
  for (const char* bad :
       {R"({"vision_cfg": {"timm_model_name": "vit"}, "text_cfg": {}})", R"({"vision_cfg": {}})",
        R"({"vision_cfg": {"layers": [3, 4, 6, 3]}, "text_cfg": {}})",
        R"({"vision_cfg": {}, "text_cfg": {"pool_type": "last"}})", R"({"vision_cfg": {"no_ln_pre": true}})",
        R"({"vision_cfg": {}, "text_cfg": {}, "custom_text": true})"})
    CHECK_THROWS_AS(read(bad), InputError);
  ClipConfig mixed = h14;
  mixed.text.hidden_act = Activation::quick_gelu;
  CHECK_THROWS_AS(open_clip_json(mixed, 49407), InputError);
}

TEST_CASE("clip folders: the row of a text is transformers'") {
  ClipConfig c = tiny_clip();
  const Tensor ids = Tensor::from(std::vector<int32_t>{8, 3, 9, 9, 0, 8, 5, 1, 2, 5, 8, 1, 1, 1, 1}, {3, 5});
  const auto ends = [&] {
    const Tensor e = text_ends(c, ids);
    return std::vector<int32_t>(e.span<int32_t>().begin(), e.span<int32_t>().end());
  };
  CHECK(ends() == std::vector<int32_t>{2, 0, 0});  // the largest id
  c.eos_token_id = 2;                              // old files: the same
  CHECK(ends() == std::vector<int32_t>{2, 0, 0});
  c.eos_token_id = 5;  // the first of these, or the first of all
  CHECK(ends() == std::vector<int32_t>{0, 1, 0});
}

TEST_CASE("clip folders: gmail convert and gmail info") {
  const Desk desk;
  Clip clip = random_clip(small_clip());
  write_folder(desk.dir / "hf", clip);
  desk.write("hf/README.md", "---\nlanguage: en\nlicense: mit\n---\n# Model\n");
  desk.ok("convert clip hf --out oc --naming open_clip --dtype bfloat16 --image-size 24");
  const std::string text = desk.ok("info oc");
  for (const char* part : {"open_clip's form", "BF16", "quick_gelu", "context 10", "images 24 x 24",
                           "README.md: mit", "mean 0.1, 0.2, 0.3"})
    CHECK_THAT(text, Contains(part));
  int64_t all = 0;
  for (const Param* p : clip.params()) all += p->value.numel();
  CHECK_THAT(desk.ok("info hf"), Contains(concat(all / 1000, ",")));
  desk.refused("convert clip hf --out hf", {"another folder"});
  desk.refused("convert clip none --out x", {"none/config.json"});
  desk.refused("info oc --image-size 25", {"multiple of the patches' side 8"});
}

// Protects ClipCap's exchange with its original: folders of its names give PyTorch's losses and gradients, by
// our loss and by its own, with both mappers, whether GPT-2 learns, is frozen or has LoRA; what does not fit
// is said.
#include "catch.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "desk.h"
#include "gmail/convert_clipcap.h"
#include "gmail/downstream.h"
#include "golden.h"
#include "gradcheck.h"
#include "io/json.h"

using namespace gmail;
using namespace gmail::test;
namespace fs = std::filesystem;

namespace {

fs::path folder_of(const std::string& mapper) { return golden_folder("clipcap") / mapper; }

std::vector<std::vector<int32_t>> captions_in(const Golden& golden) {
  const Tensor ids = golden["captions"];
  std::vector<std::vector<int32_t>> captions;
  for (int64_t b = 0; b < ids.size(0); ++b) {
    captions.emplace_back();
    for (const int32_t id : ids.rows(b, b + 1).span<int32_t>())
      if (id >= 0) captions.back().push_back(id);
  }
  return captions;
}

// a parameter's gradient as the original holds the parameter
Tensor as_stored(const Param& p) {
  if (!p.transposed) return p.slot.grad;
  const int64_t m = p.value.size(0), n = p.value.size(1);
  Tensor out = Tensor::empty({n, m});
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) out.data<float>()[j * m + i] = p.slot.grad.data<float>()[i * n + j];
  return out;
}

bool of_mapper(const Param& p) { return p.name.starts_with("clip_project."); }

void check_loss(const std::string& mapper, const fs::path& converted, bool released, bool tuned) {
  INFO(mapper << (released ? " released" : " standard") << (tuned ? " tuned" : " frozen"));
  const Golden golden(folder_of(mapper) / "golden.safetensors");
  Captioner captioner = Captioner::load(converted);
  CHECK_FALSE(captioner.tokenizer);
  ClipCap& model = captioner.model;
  CHECK(model.config.released);
  model.config.released = released;
  for (Param* p : model.params()) p->trainable = tuned || of_mapper(*p);
  const Context ctx;
  Tape tape(ctx);
  const Var loss = model.loss(tape, Var(golden["embeddings"]), captions_in(golden));
  const std::string kind = released ? "released." : "standard.";
  CHECK(golden.compare(kind + "loss", loss.value, "loss") == "");
  tape.backward(loss);
  const std::string gpt = golden.file().has("standard.grad.gpt.wte.weight") ? "gpt." : "gpt.transformer.";
  int64_t compared = 0;
  for (Param* p : model.params()) {
    if (!p->trainable) {
      CHECK_FALSE(p->slot.grad);
      continue;
    }
    const std::string name = kind + "grad." + (of_mapper(*p) ? "" : gpt) + p->name;
    CHECK(golden.compare(name, as_stored(*p), "grad") == "");
    ++compared;
  }
  CHECK(compared >= (tuned ? 32 : 4));
}

}  // namespace

TEST_CASE("golden: ClipCap's losses and gradients are PyTorch's, frozen and tuned") {
  for (const std::string mapper : {"mlp", "transformer"}) {
    const TemporaryDir dir;
    const ClipCapReport report = convert_clipcap(folder_of(mapper), dir / "c");
    CHECK_FALSE(report.vocabulary);
    CHECK(report.config.end_id == 22);
    CHECK(name_of(report.config.mapper) == mapper);
    CHECK(report.config.normalize_prefix == (mapper == "mlp"));
    for (const bool released : {false, true})
      for (const bool tuned : {false, true}) check_loss(mapper, dir / "c", released, tuned);
  }
}

TEST_CASE("golden: LoRA of a captioner's decoder is peft's, and so is the decoder with it merged") {
  const TemporaryDir dir;
  (void)convert_clipcap(folder_of("mlp"), dir / "c");
  const Golden golden(folder_of("mlp") / "golden.safetensors");
  ClipCap model = Captioner::load(dir / "c").model;
  model.config.released = false;
  std::vector<Param*> updates;
  model.gpt.each_linear([&](Linear& l) {
    if (l.path().find(".attn.") == std::string::npos) return;
    l.add_lora(2, 6, 1);
    for (Param* p : {&l.lora->a, &l.lora->b}) {
      p->value.copy_from(golden["lora.value." + p->name]);
      updates.push_back(p);
    }
  });
  const Context ctx;
  Tape tape(ctx);
  const Var loss = model.loss(tape, Var(golden["embeddings"]), captions_in(golden));
  CHECK(golden.compare("lora.loss", loss.value, "loss") == "");
  tape.backward(loss);
  CHECK(updates.size() == 8);
  for (const Param* p : updates) CHECK(golden.compare("lora.grad." + p->name, p->slot.grad, "grad") == "");
  for (const Param* p : model.params())
    if (std::ranges::find(updates, p) == updates.end()) CHECK_FALSE(p->slot.grad);
  model.gpt.each_linear([](Linear& l) { l.merge_lora(); });
  Tape merged(ctx, false);
  const Var after = model.loss(merged, Var(golden["embeddings"]), captions_in(golden));
  CHECK(golden.compare("lora.loss", after.value, "loss") == "");
}

// For scripts/compare_pytorch_captioner.py: GPT2 names a folder with a golden.safetensors.
TEST_CASE("gpt2: the folder that GPT2 names gives the logits beside it", "[.gpt2]") {
  const char* folder = std::getenv("GPT2");
  REQUIRE(folder != nullptr);
  const Golden golden(fs::path(folder) / "golden.safetensors");
  Gpt2 model = Gpt2::load(folder);
  const Context ctx;
  Tape tape(ctx, false);
  const Var hidden = model.hidden(tape, model.embed(tape, golden["input_ids"]));
  CHECK(golden.compare("logits", model.logits(tape, hidden).value) == "");
}

TEST_CASE("clipcap: mappers have the original's sizes") {
  struct Size {
    MapperKind kind;
    int64_t length, clip_dim, params;
  };
  for (const Size& s :
       {Size{MapperKind::mlp, 10, 512, 31'468'800}, Size{MapperKind::transformer, 10, 512, 41'745'408},
        Size{MapperKind::transformer, 10, 640, 42'728'448},
        Size{MapperKind::transformer, 40, 512, 53'587'968},
        Size{MapperKind::transformer, 40, 640, 57'520'128}}) {
    ClipCapConfig c;
    c.mapper = s.kind;
    c.clip_dim = s.clip_dim;
    c.prefix_length = c.clip_length = s.length;
    c.gpt.n_embd = 768;
    Mapper mapper = make_mapper(c);
    ParamList params;
    std::visit([&](auto& m) { m.collect(params); }, mapper);
    CHECK(count_elements(params) == s.params);
  }
}

TEST_CASE("cli: convert clipcap makes a captioner, and says what does not fit") {
  const Desk desk;
  const std::string from = "'" + folder_of("transformer").string() + "'";
  CHECK(desk.ok("convert clipcap " + from + " --out c").find("transformer mapper, prefix of 2, without a") !=
        std::string::npos);
  const Golden golden(folder_of("transformer") / "golden.safetensors");
  save_safetensors(desk.dir / "e.safetensors", {{"image_embeds", golden["embeddings"]}});
  const std::string lines =
      desk.ok("caption run --captioner c --embeddings e.safetensors --json --beam 2 --max-length 5");
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 3);
  CHECK(Json::parse(lines.substr(0, lines.find('\n'))).contains("tokens"));
  CHECK(desk.ok("info c").find("transformer from 7 numbers") != std::string::npos);
  CHECK_THROWS_WITH(
      Captioner::load(desk.dir / "c").caption(Context(), golden["embeddings"], {.beams = 1, .max_length = 3}),
      Contains("no vocabulary"));

  fs::create_directory(desk.dir / "bad");
  fs::copy_file(folder_of("transformer") / "model.safetensors", desk.dir / "bad" / "model.safetensors");
  const auto refused = [&](const char* key, const Json& value, const std::vector<std::string>& parts) {
    Json config = read_json(folder_of("transformer") / "config.json");
    if (value.is_null())
      config.erase(key);
    else
      config[key] = value;
    write_json(desk.dir / "bad" / "config.json", config);
    desk.refused("convert clipcap bad --out never", parts);
  };
  refused("vocab_size", 30, {"bad/model.safetensors", "gpt.wte.weight (expected (30,12), found (23,12))"});
  refused("clip_length", 2, {"clip_project.linear.weight (expected (24,7), found (36,7))"});
  refused("n_positions", 13, {"1 of another shape: gpt.wpe.weight (expected (13,12), found (12,12))"});
  refused("n_layer", 1'000'000, {"55 tensors, expected those of 1000002 blocks"});
  refused("n_layer", 1, {"12 unexpected: gpt.h.1.attn.c_attn.bias"});
  refused("mapper", "mlp", {"missing: clip_project.model.0.weight"});
  refused("mapper", "conv", {"bad/config.json", "\"mapper\": expected mlp or transformer, found conv"});
  refused("mapper_heads", 5, {"\"mapper_heads\": expected a divisor of n_embd 12, found 5"});
  refused("normalize_prefix", nullptr, {"\"normalize_prefix\" is missing"});
  refused("normalize_prefix", 1, {"\"normalize_prefix\": expected true or false, found 1"});
  refused("prefix_length", 12, {"\"prefix_length\": expected a whole number, 1 .. 11, found 12"});
  refused("end_id", 23, {"\"end_id\": expected a whole number, 0 .. 22, found 23"});
  desk.refused("convert clipcap c --out c", {"expected another folder"});
  CHECK_FALSE(desk.has("never"));
}

// Protects what of a captioner learns: the mapper alone, LoRA updates that end in the decoder, or everything;
// what stays frozen keeps its bits; a run that goes on has the same result; the dropout counts and is keyed;
// the released loss leaves the end out.
#include "catch.h"

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "desk.h"
#include "gmail/downstream.h"
#include "gradcheck.h"
#include "io/files.h"
#include "io/json.h"
#include "nn/param_file.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;
namespace fs = std::filesystem;

namespace {

const std::vector<Merge> kMerges{{"r", "e"}, {"re", "d"}, {"Ġ", "b"}, {"Ġb", "a"}, {"l", "l"}};

// a folder as `--decoder` takes it
void write_decoder(const fs::path& folder, uint64_t seed) {
  const Tokenizer tokenizer(kMerges, TokenizerKind::gpt2);
  tokenizer.save(folder);
  Gpt2Config config{
      .vocab_size = tokenizer.vocab_size(), .n_positions = 24, .n_embd = 8, .n_layer = 2, .n_head = 2};
  Gpt2 gpt(config);
  gpt.init(seed);
  ParamList params;
  gpt.collect(params);
  save_params(folder / "model.safetensors", params, {}, StoreAs::as_is, "transformer.");
  write_json(folder / "config.json", config.to_json());
}

struct Fixture {
  TemporaryDir dir;
  EmbeddedPairs data{random({4, 6}, 1, DType::float32), {"red ball.", "a ball", "!red!", "tall"}};
  CaptionerOptions options;
  Fixture() {
    write_decoder(dir / "gpt2", 1);
    options.decoder = dir / "gpt2";
    options.model.prefix_length = 2;
    options.model.clip_length = 2;
    options.model.mapper_layers = 1;
    options.model.mapper_heads = 2;
    options.batch = 2;
    options.lora_rank = 2;
    options.lora_alpha = 4;
    options.train.steps = 4;
    options.train.lr = 1e-2;
    options.train.quiet = true;
  }
  TrainReport train(const std::string& out, bool resume = false) {
    options.train.out = dir / out;
    options.train.resume = resume;
    return train_captioner(Context(), Tokenizer::load(options.decoder), data, options);
  }
  [[nodiscard]] std::string bytes(const std::string& out) const {
    return read_text(dir / out / "model.safetensors");
  }
  // the decoder's tensors that are no longer those of its folder
  [[nodiscard]] std::vector<std::string> changed(const std::string& out) const {
    const SafetensorsFile before(dir / "gpt2" / "model.safetensors"), after(dir / out / "model.safetensors");
    std::vector<std::string> names;
    for (const std::string& name : after.names())
      if (!name.starts_with("clip_project.") &&
          close(after.read(name), before.read("transformer." + name), 0) != "")
        names.push_back(name);
    return names;
  }
};

}  // namespace

TEST_CASE("train captioner: the mapper alone, LoRA or everything learns") {
  Fixture f;
  f.options.model.mapper = MapperKind::transformer;
  f.options.trained = Trained::mapper;
  (void)f.train("mapper");
  CHECK(f.changed("mapper").empty());
  f.options.trained = Trained::lora;
  (void)f.train("lora");
  const std::vector<std::string> attention{"h.0.attn.c_attn.weight", "h.0.attn.c_proj.weight",
                                           "h.1.attn.c_attn.weight", "h.1.attn.c_proj.weight"};
  CHECK(f.changed("lora") == attention);
  f.options.lora_mlp = true;
  (void)f.train("lora-mlp");
  CHECK(f.changed("lora-mlp").size() == 8);
  f.options.trained = Trained::all;
  (void)f.train("all");
  CHECK(f.changed("all").size() == 2 + 2 * 12 + 2);
  Captioner captioner = Captioner::load(f.dir / "lora");
  CHECK(captioner.tokenizer->kind() == TokenizerKind::gpt2);
  CHECK(captioner.caption(Context(), f.data.embeddings, {.beams = 2, .max_length = 6}).size() == 4);
}

TEST_CASE("train captioner: going on from a checkpoint ends with the same captioner") {
  Fixture f;
  f.options.trained = Trained::lora;
  f.options.dropout = 0.2;
  (void)f.train("a");
  const std::string first = f.bytes("a");
  const TrainReport again = f.train("a", true);  // nothing is left to do but to merge and to save
  CHECK(again.first_step == again.steps);
  CHECK(f.bytes("a") == first);
  (void)f.train("b");
  CHECK(f.bytes("b") == first);  // the same masks
  f.options.dropout = 0;
  (void)f.train("c");
  CHECK(f.bytes("c") != first);
  write_decoder(f.dir / "other", 2);
  f.options.decoder = f.dir / "other";
  CHECK_THROWS_WITH(f.train("c", true), Contains("frozen_weights"));
}

TEST_CASE("train captioner: the dropout of a step is its own") {
  Fixture f;
  f.data = {random({1, 6}, 1, DType::float32), {"red ball"}};
  f.options.batch = 1;
  f.options.train.lr = 0;
  const auto losses = [&](const std::string& out) {
    (void)f.train(out);
    std::set<double> different;
    for (std::istringstream lines(read_text(f.dir / out / "log.jsonl")); lines.peek() != EOF;) {
      std::string line;
      std::getline(lines, line);
      different.insert(Json::parse(line)["loss"].get<double>());
    }
    return different.size();
  };
  CHECK(losses("none") == 1);
  f.options.dropout = 0.3;
  CHECK(losses("some") == 4);
}

TEST_CASE("train captioner: the released loss learns no end and passes over token 0") {
  Fixture f;
  f.options.model.released = true;
  (void)f.train("released");
  CHECK(read_json(f.dir / "released" / "config.json")["released"] == true);
  Captioner captioner = Captioner::load(f.dir / "released");
  const CaptionBatch batch = captioner.model.batch({{0, 5, 0}, {7}});
  const auto mask = batch.mask.span<int32_t>();
  CHECK(std::vector<int32_t>(mask.begin(), mask.end()) == std::vector<int32_t>{0, 1, 0, 0, 1, 0, 0, 0});
  f.options.decoder = "";
  f.options.model.gpt = {.n_positions = 20, .n_embd = 8, .n_layer = 1, .n_head = 2};
  f.options.train.out = f.dir / "clip";
  CHECK_THROWS_WITH(train_captioner(Context(), tiny_model().tokenizer, f.data, f.options),
                    Contains("stops at token 13"));
}

TEST_CASE("train captioner: what cannot be is refused") {
  Fixture f;
  f.options.trained = Trained::mapper;
  f.options.dropout = 0.1;
  CHECK_THROWS_WITH(f.train("x"), Contains("frozen decoder has no dropout"));
  f.options.trained = Trained::all;
  f.options.train.cuda_graph = true;
  CHECK_THROWS_WITH(f.train("x"), Contains("dropout differs from step to step"));
  f.options.dropout = 0;
  f.options.model.prefix_length = 24;
  CHECK_THROWS_WITH(f.train("x"), Contains("a prefix of 24 for 24 positions"));
  f.options.model.prefix_length = 2;
  f.options.model.mapper = MapperKind::transformer;
  f.options.model.mapper_heads = 3;
  CHECK_THROWS_WITH(f.train("x"), Contains("3 heads of the mapper do not divide 8"));
  f.options.trained = Trained::lora;
  f.options.decoder = "";
  CHECK_THROWS_WITH(train_captioner(Context(), tiny_model().tokenizer, f.data, f.options),
                    Contains("a decoder from scratch must be trained"));
}

TEST_CASE("cli: a captioner on GPT-2's checkpoint, with LoRA and the original's loss") {
  const Desk desk;
  desk.make_world();
  desk.make_model();
  write_decoder(desk.dir / "gpt2", 1);
  const std::string train =
      "caption train --model clip --manifest world/manifest.jsonl --arm real --split train "
      "--prefix-length 2 --steps 2 --batch 4 --warmup 0 --quiet --out ";
  desk.ok(
      train +
      "c --decoder gpt2 --train lora --lora-rank 2 --mapper transformer --clip-length 2 --mapper-layers 1 "
      "--mapper-heads 2 --clipcap-released --dropout 0.1");
  const Json config = desk.json("c/config.json");
  CHECK(config["mapper"] == "transformer");
  CHECK(config["released"] == true);
  CHECK(config["normalize_prefix"] == true);
  CHECK(config["n_embd"] == 8);
  CHECK(desk.json("c/vocab.json") == desk.json("gpt2/vocab.json"));
  const std::string file = "world/images/000003.png";
  CHECK(desk.ok("caption run --captioner c --model clip --max-length 8 " + file).starts_with(file + "\t"));
  desk.refused(train + "x --train mapper", {"--train mapper", "expected --decoder"});
  desk.refused(train + "x --clipcap-released --width 8 --layers 1 --heads 2", {"stops at token 13"});
  desk.refused(train + "x --decoder gpt2 --train mapper --dropout 0.1", {"--dropout", "frozen"});
  desk.refused(train + "x --decoder clip", {"expected GPT-2's vocabulary, found CLIP's"});
  CHECK_FALSE(desk.has("x"));
}

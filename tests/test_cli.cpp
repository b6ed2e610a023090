// Protects the program as its user meets it: commands and flags, exit codes, one clear line for what is
// wrong, and nothing half-written.
#include <cmath>

#include "catch.h"
#include "core/device_memory.h"
#include "desk.h"

using namespace gmail;
using test::Desk;
namespace fs = std::filesystem;

namespace {

// the first bytes of a JPEG, and a PNG of 0 x 0 pixels
std::string short_jpeg() { return std::string("\xFF\xD8\xFF\xDB\0\x43\0", 7) + std::string(40, '\1'); }
std::string empty_png() {
  return std::string(
      "\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\0\0\0\0\0\x08\x02\0\0\0\0\0\0\0\0\0\0\0IEND\0\0\0\0", 45);
}

std::string record(int id, const std::string& image, const std::string& captions = R"(["a red ball"])") {
  const std::string n = std::to_string(id);
  return R"({"id": "r)" + n + R"(", "image": ")" + image + R"(", "captions": )" + captions +
         R"(, "split": "train", "source": {"kind": "real"}})" + "\n";
}

std::string file_with_int64_owner() {
  const std::string header = R"({"image_embeds":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]},)"
                             R"("text_embeds":{"dtype":"F32","shape":[2,2],"data_offsets":[32,48]},)"
                             R"("text_image":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}} )";
  const uint64_t size = header.size();
  const int64_t owner[] = {1, 0};
  const float rows[] = {3, 0, 0, 2, 0, 1, 5, 0};  // images along x and y, texts along y and x
  std::string bytes(reinterpret_cast<const char*>(&size), sizeof size);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(owner), sizeof owner);
  bytes.append(reinterpret_cast<const char*>(rows), sizeof rows);
  return bytes;
}

const std::vector<std::string> kCommands{"tabletop",
                                         "import flickr8k",
                                         "import folder",
                                         "import generated",
                                         "import coco",
                                         "import karpathy",
                                         "import flickr30k",
                                         "import cc",
                                         "import sharegpt4v",
                                         "tokenize",
                                         "tokenizer",
                                         "preprocess",
                                         "pretrain",
                                         "generator",
                                         "generate",
                                         "align",
                                         "caption train",
                                         "caption run",
                                         "finetune-text",
                                         "embed",
                                         "retrieve",
                                         "classify",
                                         "eval retrieval",
                                         "eval classification",
                                         "eval caption",
                                         "eval embedding",
                                         "demo",
                                         "info"};

}  // namespace

TEST_CASE("cli: every command explains itself") {
  const Desk desk;
  const std::string all = desk.ok("--help");
  for (const std::string& command : kCommands) {
    INFO(command);
    CHECK(all.find("\n  " + command.substr(0, command.find(' ')) + " ") != std::string::npos);
    const std::string help = desk.ok(command + " --help");
    for (const char* flag : {"--config", "--device", "--seed", "--threads"})
      CHECK(help.find(flag) != std::string::npos);
    CHECK(help.find("-h,") == std::string::npos);  // long flags only
  }
  CHECK(desk.ok("").find("pretrain") != std::string::npos);
  const std::string version = desk.ok("--version");
  for (const char* part : {"gmail 0.", "compiler: ", "CUDA: ", "CBLAS: "})
    CHECK(version.find(part) != std::string::npos);
  CHECK(desk.ok("info").find("threads:") != std::string::npos);
}

TEST_CASE("cli: a machine without a GPU is told so") {
  const std::string why = why_no_cuda();
  const Desk desk;
  if (why.empty()) {
    desk.ok("tabletop --out w --count 1 --device cuda --quiet");
  } else {
    desk.refused("tabletop --out w --device cuda", {"--device cuda: ", why});
    CHECK_FALSE(desk.has("w"));
  }
}

TEST_CASE("cli: wrong usage is one line and exit code 2") {
  const Desk desk;
  desk.refused("frobnicate", {"frobnicate"});
  desk.refused("import", {"subcommand"});
  desk.refused("pretrain --manifest m --model c --out o --stepps 3", {"--stepps", "gmail pretrain --help"});
  desk.refused("pretrain --manifest m --model c", {"--out is required"});
  desk.refused("caption run x.png", {"--captioner is required", "gmail caption run --help"});
  desk.refused("tabletop --out w --size 48", {"--size", "48"});
  desk.refused("tabletop --out w --count 0", {"--count", "at least 1", "found 0"});
  desk.refused("tabletop --out w --splits train=5,test", {"--splits", "\"test\""});
  desk.refused("tabletop --out w --count twelve", {"--count", "twelve"});
  desk.refused("tabletop --out w --precision bf16 --device cpu", {"--precision bf16", "needs --device cuda"});
  desk.refused("retrieve --index i", {"either a query in words or --image"});
  desk.refused("retrieve --index i --top 0 ball", {"--top", "at least 1"});
  desk.refused("embed --model m --out f", {"--images", "--manifest"});
  CHECK_FALSE(desk.has("w"));
  CHECK_FALSE(desk.has("o"));
}

TEST_CASE("cli: --config gives options, the command line wins, unknown keys are errors") {
  const Desk desk;
  desk.write("good.json", R"({"out": "a", "count": 2, "min-solids": 1, "look": "studio", "quiet": true})");
  CHECK(desk.ok("tabletop --config good.json --count 3").find("3 pictures") != std::string::npos);
  CHECK(desk.json("a/tabletop.json")["look"] == "studio");
  desk.write("typo.json", R"({"out": "b", "cuont": 2})");
  desk.refused("tabletop --config typo.json", {"typo.json", "unknown field \"cuont\""});
  desk.write("type.json", R"({"out": "b", "count": {"of": 2}})");
  desk.refused("tabletop --config type.json", {"type.json", "\"count\""});
  desk.write("twice.json", R"({"out": "b", "out": "c"})");
  desk.refused("tabletop --config twice.json", {"twice.json", "\"out\"", "twice"});
  desk.write("value.json", R"({"out": "b", "look": "painting"})");
  desk.refused("tabletop --config value.json", {"value.json", "\"look\"", "painting"});
  desk.refused("tabletop --config none.json", {"none.json"});
  CHECK_FALSE(desk.has("b"));
  desk.make_world();
  desk.write("list.json", R"({"manifest": ["world/manifest.jsonl"], "vocab": 520, "out": "words"})");
  CHECK(desk.ok("tokenizer --config list.json").find("520 tokens") != std::string::npos);
}

TEST_CASE("cli: bad data is named by file, line and field, and nothing is written") {
  const Desk desk;
  desk.make_world();
  desk.make_model();
  const auto pretrain = [](const std::string& manifest) {
    return "pretrain --manifest " + manifest + " --model model.json --vocab 520 --out run " + Desk::kTrain;
  };
  desk.refused(pretrain("none.jsonl"), {"none.jsonl", "No such file"});
  std::string good;
  for (int i = 1; i <= 6; ++i) good += record(i, "world/images/000000.png");
  desk.write("line7.jsonl", good + "{\"id\": \n");
  desk.refused(pretrain("line7.jsonl"), {"line7.jsonl:7", "JSON"});
  desk.write("silent.jsonl", good + record(7, "world/images/000001.png", "[]"));
  desk.refused(pretrain("silent.jsonl"), {"silent.jsonl:7", "\"captions\"", "non-empty list"});
  desk.write("short.jpg", short_jpeg());
  desk.write("empty.png", empty_png());
  std::string damaged;
  for (int i = 1; i <= 11; ++i) damaged += record(i, "short.jpg");  // ten would be passed over
  desk.write("damaged.jsonl", damaged);
  desk.refused(pretrain("damaged.jsonl"),
               {"damaged.jsonl", "more than 10 damaged", "short.jpg", "cut short"});
  CHECK_FALSE(desk.has("run"));
  desk.refused("embed --model clip --images short.jpg --out e.safetensors", {"short.jpg", "cut short"});
  desk.refused("embed --model clip --images world/images/000000.png empty.png --out e.safetensors",
               {"empty.png"});
  desk.refused("embed --model none --images short.jpg --out e.safetensors", {"none/config.json"});
  desk.write("texts.jsonl", "{\"text\": \"a ball\"}\n{\"txt\": \"a cube\"}\n");
  desk.refused("embed --model clip --texts texts.jsonl --out e.safetensors", {"texts.jsonl:2", "\"text\""});
  CHECK_FALSE(desk.has("e.safetensors"));
  CHECK_FALSE(desk.has("e.safetensors.partial"));
  desk.refused("tabletop --out world --count 10", {"world/tabletop.json: the folder holds another world"});
  desk.refused("embed --model clip --texts texts.jsonl --out model.json/e.safetensors", {"texts.jsonl:2"});
  desk.write("texts.jsonl", "{\"text\": \"a ball\"}\n");
  desk.refused("embed --model clip --texts texts.jsonl --out model.json/e.safetensors", {"model.json"});
  // a checkpoint of another model
  std::string other = Desk::kModel;
  other.replace(other.find("\"intermediate_size\": 32"), 23, "\"intermediate_size\": 48");
  desk.write("other.json", other);
  const std::string before = read_text(desk.dir / "clip/checkpoint.safetensors");
  const std::string options = read_text(desk.dir / "clip/options.json");
  desk.refused(
      "pretrain --manifest world/manifest.jsonl --model other.json --vocab 520 --out clip --resume " +
          std::string(Desk::kTrain),
      {"checkpoint.safetensors", "another run", "intermediate_size", "32", "48"});
  CHECK(read_text(desk.dir / "clip/checkpoint.safetensors") == before);
  CHECK(read_text(desk.dir / "clip/options.json") == options);
}

TEST_CASE("cli: a full disk is exit code 1") {
  const Desk desk;
  desk.write("e.safetensors", file_with_int64_owner());
  desk.refused("eval retrieval --embeddings e.safetensors --out /dev/full", {"/dev/full", "No space left"},
               1);
  desk.refused("info", {"standard output"}, 1, "/dev/full");
  desk.refused("--version", {"standard output"}, 1, "/dev/full");
}

TEST_CASE("cli: evaluation of given embeddings") {
  const Desk desk;
  desk.write("e.safetensors", file_with_int64_owner());
  desk.ok("eval retrieval --embeddings e.safetensors --out r.json");
  const nlohmann::json r = desk.json("r.json");
  for (const char* key : {"i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"}) CHECK(r[key] == 100);
  CHECK(r["images"] == 2);
  CHECK(r["texts"] == 2);
  desk.ok("eval embedding --embeddings e.safetensors --out new/s.json");
  CHECK(desk.json("new/s.json")["paired_cosine"] == 1);
  CHECK(std::abs(desk.json("new/s.json")["uniformity"].get<double>() + 4) <
        1e-6);  // orthogonal: |x - y|^2 = 2
  save_safetensors(desk.dir / "owner.safetensors",
                   {{"image_embeds", Tensor::full({2, 3}, 1)},
                    {"text_embeds", Tensor::full({2, 3}, 1)},
                    {"text_image", Tensor::from(std::vector<int32_t>{0, 2}, {2})}});
  desk.refused("eval retrieval --embeddings owner.safetensors",
               {"owner.safetensors", "text_image", "found 2 for text 1"});
  save_safetensors(desk.dir / "zero.safetensors",
                   {{"image_embeds", Tensor::zeros({1, 3})},
                    {"text_embeds", Tensor::full({1, 3}, 1)},
                    {"text_image", Tensor::from(std::vector<int32_t>{0}, {1})}});
  desk.refused("eval retrieval --embeddings zero.safetensors",
               {"zero.safetensors", "image_embeds", "length 0"});
  save_safetensors(desk.dir / "texts.safetensors", {{"text_embeds", Tensor::full({1, 3}, 1)}});
  desk.refused("eval retrieval --embeddings texts.safetensors",
               {"texts.safetensors", "image_embeds", "found text_embeds"});
}

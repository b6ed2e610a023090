// Protects the way through the program: from the built-in world to a search in it, and the method stage by
// stage, each command reading what the one before it wrote.
#include <cmath>

#include "catch.h"
#include "desk.h"
#include "golden.h"

using namespace gmail;
using test::Desk;
using test::golden_folder;

TEST_CASE("cli: embeddings come in the given order") {
  const Desk desk;
  desk.make_world();
  desk.make_model();
  const std::string one = "world/images/000000.png", two = "world/images/000001.png";
  desk.write("t.jsonl", "{\"text\": \"a red ball\"}\n{\"text\": \"\"}\n");
  desk.write("u.jsonl", "{\"text\": \"\"}\n{\"text\": \"a red ball\"}");
  desk.ok("embed --model clip --images " + one + " " + two + " --texts t.jsonl --out a.safetensors");
  desk.ok("embed --model clip --images " + two + " " + one + " --texts u.jsonl --out b.safetensors");
  for (const char* name : {"image_embeds", "text_embeds"}) {
    const Tensor a = desk.tensor("a.safetensors", name), b = desk.tensor("b.safetensors", name);
    REQUIRE(a.shape() == Shape{2, 16});
    CHECK(a.dtype() == DType::float32);
    CHECK(a.all_finite());
    bool swapped = true, differ = false;
    for (int64_t i = 0; i < 16; ++i) {
      swapped = swapped && std::abs(a.at(i) - b.at(16 + i)) < 1e-5 && std::abs(a.at(16 + i) - b.at(i)) < 1e-5;
      differ = differ || std::abs(a.at(i) - a.at(16 + i)) > 1e-4;
    }
    CHECK(swapped);
    CHECK(differ);
  }
  desk.ok("embed --model clip --texts t.jsonl --out t.safetensors");
  CHECK_FALSE(SafetensorsFile(desk.dir / "t.safetensors").has("image_embeds"));
}

TEST_CASE("cli: from the built-in world to a search in it") {
  const Desk desk;
  desk.make_world();
  desk.make_model();
  const std::string one = "world/images/000000.png";
  // a manifest's embeddings evaluate as the manifest itself does
  desk.ok(
      "embed --model clip --manifest world/manifest.jsonl --split test --out m.safetensors --index index");
  CHECK(desk.tensor("m.safetensors", "text_image").shape() == Shape{20});
  desk.ok("eval retrieval --embeddings m.safetensors --out r1.json");
  desk.ok("eval retrieval --model clip --manifest world/manifest.jsonl --split test --out r2.json");
  CHECK(desk.json("r1.json") == desk.json("r2.json"));
  CHECK(desk.json("r1.json")["i2t_r10"].is_number());
  CHECK(desk.json("r1.json")["texts"] == 20);
  // the search: an image of the index finds itself
  const std::string third = "world/images/000022.png",
                    found = desk.ok("retrieve --index index --top 2 --image " + third);
  CHECK(found.starts_with("1\t1.0000\t"));
  CHECK(found.substr(0, found.find('\n')).find(third) != std::string::npos);
  CHECK(found.find("\n2\t") != std::string::npos);
  CHECK(found.find("\n3\t") == std::string::npos);
  CHECK(desk.has("index/results.png"));
  desk.ok("retrieve --index index \"a red cube\" --sheet red.png");
  CHECK(desk.has("red.png"));
  desk.refused("retrieve --index world \"a red cube\"", {"world/index.json", "no index"});
  // words as classes
  desk.write("prompts.txt", "a {}\nthe {} on a table\n");
  const std::string classes =
      desk.ok("classify --model clip --classes \"red ball,blue cube\" --prompts prompts.txt " + one);
  CHECK(classes.starts_with(one + "\t"));
  CHECK(classes.find("blue cube") != std::string::npos);
  desk.write("prompts.md",
             "## Toys\n\nclasses = [\n    'red ball',\n    'blue cube',\n]\n\n"
             "templates = ['a {}', 'the {} on a table']\n\n## None\nclasses = ['x']\n");
  const std::string listed = " --classes prompts.md --prompts prompts.md " + one;
  CHECK(desk.ok("classify --model clip --section Toys" + listed) == classes);
  desk.refused("classify --model clip" + listed, {"prompts.md", "2 lists", "Toys, None"});
  desk.refused("classify --model clip --section Birds" + listed, {"section \"Birds\"", "Toys, None"});
  const auto line = nlohmann::json::parse(desk.ok("classify --json --model clip --section Toys" + listed));
  const auto &first = line["classes"][0], &second = line["classes"][1];
  CHECK(first["probability"].get<double>() / second["probability"].get<double>() ==
        Approx(std::exp(first["logit"].get<double>() - second["logit"].get<double>())));
  desk.refused("classify --model clip --classes \"red ball,red ball\" " + one,
               {"\"red ball\" is given twice"});
  desk.ok(
      "eval classification --model clip --manifest world/manifest.jsonl --prompts prompts.txt --out k.json");
  CHECK(desk.json("k.json")["images"] == 24);
  CHECK(desk.json("k.json")["top5"].get<double>() >= desk.json("k.json")["top1"].get<double>());
  desk.refused("eval classification --model clip --manifest world/manifest.jsonl --classes \"red car\"",
               {"manifest.jsonl", "\"label\"", "expected one of the 1 classes"});
  CHECK(desk.ok("info clip").find("520 tokens") != std::string::npos);
  CHECK(desk.ok("info clip/checkpoint.safetensors").find("step") != std::string::npos);
  CHECK(desk.ok("info world").find("train, real: 20 images, 100 captions, 20 with a label") !=
        std::string::npos);
  CHECK(desk.ok("info index").find("16 numbers each") != std::string::npos);
  const std::string gpt2 = desk.ok("info '" + golden_folder("gpt2").string() + "'");
  CHECK(gpt2.find("GPT-2, width 32, 2 blocks of") != std::string::npos);
  CHECK(gpt2.find("F16") != std::string::npos);
  desk.refused("info .", {"nothing that this program knows"});
}

TEST_CASE("cli: the method, stage by stage") {
  const Desk desk;
  desk.make_world();
  desk.make_model();
  const std::string two = "--steps 2 --batch 4 --warmup 0 --quiet", clip = "--model clip ",
                    generated = clip + "--manifest drawn/manifest.jsonl --real world/manifest.jsonl ";
  desk.write("unet.json", R"({"sample_size": 8, "in_channels": 3, "out_channels": 3, "layers_per_block": 1,
    "cross_attention_dim": 16, "block_out_channels": [8, 8], "attention_head_dim": [1, 1],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "norm_num_groups": 4})");
  desk.ok("generator --model clip --manifest world/manifest.jsonl --unet unet.json --out generator " + two);
  CHECK(desk.ok("info generator").find("8 x 8") != std::string::npos);
  const std::string draw =
      "generate --model clip --generator generator --manifest world/manifest.jsonl --out drawn --steps 1 "
      "--quiet";
  CHECK(desk.ok(draw + " --split train --limit 3").find("3 images drawn, 0 were there") != std::string::npos);
  CHECK(desk.ok(draw + " --limit 8").find("5 images drawn, 3 were there") != std::string::npos);
  desk.ok("align " + generated + "--out adapter " + two);
  CHECK(desk.ok("info adapter").find("rank 4") != std::string::npos);
  // f_g for generated images, f_r for real ones
  const std::string embed = "embed --model clip --images drawn/images/$(ls drawn/images | head -1) --out ";
  desk.ok(embed + "real.safetensors");
  desk.ok(embed + "g.safetensors --adapter adapter");
  desk.ok(embed + "same.safetensors --adapter adapter --real");
  const auto bytes = [&](const std::string& name) { return read_text(desk.dir / name); };
  CHECK(bytes("real.safetensors") == bytes("same.safetensors"));
  CHECK(bytes("real.safetensors") != bytes("g.safetensors"));
  // stage B
  desk.refused("caption train " + generated + "--out c " + two, {"--adapter is required for arm gmail"});
  desk.refused("caption train --model clip --manifest world/manifest.jsonl --arm mixed --out c " + two,
               {"world/manifest.jsonl", "arm mixed needs generated records"});
  CHECK_FALSE(desk.has("c"));
  const std::string small = "--width 16 --layers 1 --heads 2 --prefix-length 2 --max-tokens 20 " + two;
  for (const std::string arm : {"generated", "gmail --adapter adapter"})
    CHECK(desk.ok("caption train " + generated + "--arm " + arm + " --out captioner " + small)
              .find("8 pairs") != std::string::npos);
  const std::string real = "caption train --model clip --manifest world/manifest.jsonl --arm real --out on-";
  CHECK(desk.ok(real + "all --split train " + small).find("100 pairs") != std::string::npos);
  CHECK(desk.ok(real + "one --split train --caption random " + small).find("20 pairs") != std::string::npos);
  desk.refused(real + "six --caption 5 " + small, {"no caption 5, it has 5"});
  desk.ok(
      "caption run --captioner captioner --model clip --manifest world/manifest.jsonl --split test --json "
      "--beam 2 --max-length 8");
  desk.write("captions.jsonl", bytes("out.txt"));
  desk.ok("eval caption --manifest world/manifest.jsonl --split test --captions captions.jsonl --out c.json");
  CHECK(desk.json("c.json")["counts"]["images"] == 4);
  const std::string file = "world/images/000003.png",
                    line = desk.ok("caption run --captioner captioner --model clip --max-length 8 " + file);
  CHECK(line.starts_with(file + "\t"));
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  desk.refused("caption run --captioner captioner --model clip --max-length 30 " + file,
               {"--max-length", "1 .. 20"});
  desk.ok("finetune-text " + generated + "--arm gmail --adapter adapter --out text " + two);
  desk.ok("eval retrieval --model text --adapter adapter --manifest world/manifest.jsonl --split test");
}

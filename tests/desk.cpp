#include "desk.h"

#include <sys/wait.h>

#include <algorithm>

#include "catch.h"

namespace gmail::test {

const char* const Desk::kModel =
    R"({"model_type": "clip", "projection_dim": 16,
          "vision_config": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
                            "num_attention_heads": 2, "hidden_act": "quick_gelu", "image_size": 32,
                            "patch_size": 8},
          "text_config": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
                          "num_attention_heads": 2, "hidden_act": "quick_gelu", "vocab_size": 520,
                          "max_position_embeddings": 24}})";
;

Outcome Desk::gmail(const std::string& arguments, const std::string& redirect) const {
  const std::string line = "cd '" + dir.path().string() + "' && '" GMAIL_PROGRAM "' </dev/null " + arguments +
                           " >" + redirect + " 2>err.txt";
  const int status = std::system(line.c_str());
  Outcome o{WIFEXITED(status) ? WEXITSTATUS(status) : -1, "", read_text(dir / "err.txt")};
  if (redirect == "out.txt") o.out = read_text(dir / "out.txt");
  if (o.err.starts_with("device: cpu ("))  // why not the GPU, before anything else is said
    o.err.erase(0, o.err.find('\n') + 1);
  return o;
}

std::string Desk::ok(const std::string& arguments) const {
  const Outcome o = gmail(arguments);
  INFO("gmail " << arguments << "\n" << o.err);
  REQUIRE(o.code == 0);
  return o.out;
}

void Desk::refused(const std::string& arguments, const std::vector<std::string>& parts, int code,
                   const std::string& redirect) const {
  const Outcome o = gmail(arguments, redirect);
  INFO("gmail " << arguments << "\n" << o.err);
  CHECK(o.code == code);
  CHECK(o.err.starts_with("gmail: "));
  CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
  CHECK(o.err.ends_with("\n"));
  for (const std::string& part : parts) {
    INFO("expected: " << part);
    CHECK(o.err.find(part) != std::string::npos);
  }
}

void Desk::make_world() const { ok("tabletop --out world --splits train=20,test=4 --max-solids 1 --quiet"); }

void Desk::make_model() const {
  write("model.json", kModel);
  ok("pretrain --manifest world/manifest.jsonl --model model.json --vocab 520 --out clip " +
     std::string(kTrain));
}

}  // namespace gmail::test

// Protects `gmail caption run`: the forms that others script against (a line for a row of embeddings, a
// COCO results file for a manifest), the decoding flags, and features that are computed once.
#include "catch.h"

#include <fstream>
#include <sstream>

#include "desk.h"

using namespace gmail;
using namespace gmail::test;

namespace {

std::vector<nlohmann::json> lines_of(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace

TEST_CASE("cli: captions of embeddings, of a manifest, and their decoding") {
  const Desk desk;
  desk.make_world();
  desk.make_model();
  const std::string train =
      std::string("caption train --model clip --manifest world/manifest.jsonl --arm real ") +
      "--split train --features kept --width 16 --layers 1 --heads 2 --prefix-length 2 "
      "--max-tokens 20 --out captioner " +
      Desk::kTrain;
  desk.ok(train);
  // rows of embeddings: tokens, logprob and caption, nothing else; the cache of features is such a file
  std::string kept;
  for (const auto& entry : std::filesystem::directory_iterator(desk.dir / "kept"))
    kept = entry.path().filename().string();
  CHECK(kept.starts_with("f_r-"));
  const std::string run = "caption run --captioner captioner ",
                    rows = run + "--embeddings kept/" + kept + " --json ";
  const auto lines = lines_of(desk.ok(rows + "--beam 3 --max-length 9"));
  REQUIRE(lines.size() == 20);
  for (const auto& line : lines) {
    CHECK(line.size() == 3);
    CHECK(line["tokens"].size() <= 9);
    CHECK(line["logprob"] < 0);
    CHECK(line["caption"].is_string());
  }
  const auto greedy = lines_of(desk.ok(rows)), again = lines_of(desk.ok(rows + "--no-cache --max-length 20"));
  for (size_t i = 0; i < greedy.size(); ++i) CHECK(again[i]["tokens"] == greedy[i]["tokens"]);
  const std::string drawn = desk.ok(rows + "--temperature 1.5 --top-p 0.9 --seed 3");
  CHECK(desk.ok(rows + "--temperature 1.5 --top-p 0.9 --seed 3") == drawn);
  CHECK(desk.ok(rows + "--temperature 1.5 --top-p 0.9 --seed 4") != drawn);
  desk.ok(rows + "--clipcap-released --beam 5");
  desk.refused(rows + "--top-p 0.5 --beam 2", {"--temperature and --top-p"});
  desk.refused(rows + "--top-p 2", {"--top-p", "from 0 to 1", "2"});
  desk.refused(rows + "--clipcap-released --min-length 2", {"--min-length"});
  // a manifest: COCO's results, an id for each record
  const std::string manifest =
      run + "--model clip --manifest world/manifest.jsonl --split test --features kept ";
  desk.ok(manifest + "--results out/results.json");
  const auto results = desk.json("out/results.json");
  REQUIRE(results.size() == 4);
  for (const auto& r : results) CHECK((r.size() == 2 && r.contains("image_id") && r["caption"].is_string()));
  desk.refused(rows + "--results r.json", {"--results needs --manifest"});
  // not --strict: after so little training a caption may hold no word
  desk.ok(
      "eval caption --manifest world/manifest.jsonl --split test --results out/results.json --out "
      "scores.json "
      "--metrics rouge");
  CHECK(desk.json("scores.json")["per_image"].size() == 4);
  // features of another encoder are refused, and nothing is written
  desk.ok(
      "pretrain --manifest world/manifest.jsonl --split train --model model.json --vocab 520 --out "
      "other "
      "--seed 9 " +
      std::string(Desk::kTrain));
  desk.refused(
      run + "--model other --manifest world/manifest.jsonl --split test --features kept --results r.json",
      {"stale", "another encoder"});
  CHECK_FALSE(desk.has("r.json"));
}

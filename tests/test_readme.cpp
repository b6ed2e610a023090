// Protects the README: every file and function in its table from the paper to the code exists, and its
// results are those of the recorded runs.
#include "catch.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "report/markdown.h"

namespace {

// relative to the checkout, which the build names
std::string read(const std::string& path) {
  std::ifstream file(std::string(GMAIL_SOURCE_DIR) + "/" + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("readme: the table from the paper to the code names what exists") {
  const std::string readme = read("README.md");
  const std::regex row(R"(\n\| ([^|\n]+) \| `(src/[a-z0-9_/]+\.(?:h|cpp))` \| `([A-Za-z0-9_]+)` \|)");
  int64_t rows = 0, equations = 0;
  for (std::sregex_iterator it(readme.begin(), readme.end(), row), end; it != end; ++it, ++rows) {
    const std::string what = (*it)[1], file = (*it)[2], function = (*it)[3];
    equations += what.find("eq. (1), L_align") != std::string::npos ? 1 : 0;
    INFO(what << ": " << file << ", " << function);
    CHECK(std::regex_search(read(file), std::regex("\\b" + function + "\\b")));
  }
  CHECK(rows >= 10);
  CHECK(equations == 1);
}

TEST_CASE("readme: the results are those of the recorded run") {
  const std::string readme = read("README.md");
  const auto results = nlohmann::json::parse(read("paper_repro/tabletop/results.json"));
  for (const auto& [arm, row] : results["arms"].items()) {
    const std::string line = " | " + gmail::fixed(row["cider"], 3) + " | " + gmail::fixed(row["objects"]) +
                             "% | " + gmail::fixed(row["i2t_r1"]) + " | " + gmail::fixed(row["t2i_r1"]) +
                             " | " + gmail::fixed(row["zero_shot_top1"]) + "% |\n";
    INFO(arm << ":" << line);
    CHECK(readme.find(line) != std::string::npos);
  }
  const auto& cosine = results["paired_cosine"];
  CHECK(readme.find("unseen pairs: " + gmail::fixed(cosine["before"], 3) + " before alignment, " +
                    gmail::fixed(cosine["after"], 3) + " after") != std::string::npos);
}

TEST_CASE("readme: the results on photos are those of the recorded run, and stand far above chance") {
  const std::string folder = "paper_repro/flickr8k_small/", table = read(folder + "README.md");
  const auto arms = nlohmann::json::parse(read(folder + "results.json"))["arms"];
  for (const char* arm : {"pretrained", "real", "generated", "mixed", "gmail"}) {
    std::string line = std::string("\n| ") + arm + " |";
    for (const char* number : {"i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10"})
      line += " " + gmail::fixed(arms[arm][number], number[0] == 'i' ? 1 : 2) + " |";
    INFO(line);
    CHECK(table.find(line + "\n") != std::string::npos);
  }
  CHECK(arms["real"]["i2t_r10"] >= 5.0);  // chance: 1
  CHECK(arms["real"]["t2i_r10"] >= 5.0);
  CHECK(read("README.md").find(gmail::fixed(arms["real"]["t2i_r10"]) + "% of the captions") !=
        std::string::npos);
}

TEST_CASE("readme: the captions of photos are those of the recorded run, and its scores reach the goal") {
  const std::string folder = "paper_repro/flickr8k_small/", page = read(folder + "README.md");
  const auto run = nlohmann::json::parse(read(folder + "captions.json"));
  for (const auto& [metric, score] : run["overall"].items()) {
    INFO(metric);
    CHECK(page.find(" " + gmail::fixed(score, 4) + " |") != std::string::npos);
  }
  CHECK(run["captions"].size() == 12);
  for (const auto& [photo, caption] : run["captions"].items())
    CHECK(page.find("| " + photo + " | " + caption.get<std::string>() + " |\n") != std::string::npos);
  CHECK(run["overall"]["Bleu_1"] > 0.45);
  CHECK(run["overall"]["CIDEr"] > 0.10);
}

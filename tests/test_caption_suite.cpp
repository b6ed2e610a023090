// Protects gmail eval caption: the reference tool's scores on its own files, what is said of a set that is
// not whole, --strict, and files of every bad kind.
#include <cmath>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "data/coco_captions.h"
#include "desk.h"
#include "eval/meteor.h"
#include "fuzz.h"

using namespace gmail;
using namespace gmail::test;
using nlohmann::json;

namespace {

const char* const kTwo = R"({"images": [{"id": 1}, {"id": "2"}, {"id": 3}], "annotations": [
  {"image_id": "1", "id": 1, "caption": "A red ball lies on the sand."},
  {"image_id": 2, "id": 2, "caption": "a large blue cube"},
  {"image_id": 1, "id": 1, "caption": "one ball"}]})";
const char* const kBoth = R"([{"image_id": 1, "caption": "a red ball lies on the sand"},
                              {"image_id": "2", "caption": "a large blue cube !"}])";

const std::string kRun = "eval caption --annotations a.json --results r.json ";

struct CaptionDesk : Desk {
  explicit CaptionDesk(const std::string& results = kBoth, const std::string& annotations = kTwo) {
    write("a.json", annotations);
    write("r.json", results);
  }
};

}  // namespace

TEST_CASE("eval caption: the reference tool's scores on its 126 images") {
  const std::string data = GMAIL_SOURCE_DIR "/../shared/data/coco-caption/";
  if (!std::filesystem::exists(data + "scores_fakecap126.json")) {
    WARN("skipped: no " << data << "scores_fakecap126.json");
    return;
  }
  const Desk desk;
  desk.ok("eval caption --annotations " + data + "captions_fakecap126_annotations.json --results " + data +
          "captions_fakecap126_results.json --strict --out s.json");
  const json got = desk.json("s.json"), expected = json::parse(read_text(data + "scores_fakecap126.json"));
  CHECK(got["counts"]["testlen"] == 1216);
  CHECK(got["counts"]["guess"] == json({1216, 1090, 964, 838}));
  CHECK(got["per_image"].size() == 126);
  for (const auto& [key, score] : expected["overall"].items()) {
    INFO(key);
    const bool meteor = key.starts_with("METEOR");
    if (meteor && find_wordnet().empty()) {
      WARN("skipped: no WordNet for " << key);
      continue;
    }
    CHECK(std::abs(got["overall"][key].get<double>() - score.get<double>()) <= (meteor ? 5e-4 : 1e-6));
    int64_t off = 0;
    for (const auto& [id, scores] : expected["per_image"].items()) {
      const double d = std::abs(got["per_image"][id][key].get<double>() - scores[key].get<double>());
      off += d <= (meteor ? 0.02 : 1e-6) ? 0 : 1;  // a NaN is off
    }
    CHECK(off <= (meteor ? 2 : 0));  // 98% of the images
  }
}

TEST_CASE("eval caption: COCO's files, ids as numbers or strings, what is said and --strict") {
  const CaptionDesk desk;
  const std::string table = desk.ok(kRun + "--out s.json");
  CHECK(table.starts_with("2 images, 3 references\nBleu_1 "));
  json s = desk.json("s.json");
  CHECK(s["metrics"][0] == "Bleu_1");
  CHECK(s["settings"]["CIDEr"] == "CIDEr-D");
  CHECK(std::abs(s["overall"]["Bleu_4"].get<double>() - 1) < 1e-6);
  CHECK(s["per_image"]["2"]["ROUGE_L"] == 1);
  CHECK(s["per_image"]["1"]["CIDEr"] > 4);
  CHECK(s["counts"]["references"] == 3);

  desk.ok(kRun + "--metrics cider,rouge --cider plain --out s.json");
  s = desk.json("s.json");
  CHECK(s["metrics"] == json({"ROUGE_L", "CIDEr", "CIDEr_stemmed"}));
  CHECK_FALSE(s["overall"].contains("Bleu_1"));
  desk.refused(kRun + "--metrics bleu,spam", {"--metrics", "\"spam\""});

  desk.write("r.json", R"([{"image_id": 9, "caption": "a"}, {"image_id": 2, "caption": "a cube"},
                           {"image_id": "2", "caption": "b"}, {"image_id": 3, "caption": "c"}])");
  const Outcome o = desk.gmail(kRun + "--out s.json");
  CHECK(o.code == 0);
  for (const char* part : {"unknown images: 1 (9)", "second results: 1 (2)", "without a result: 1 (1)",
                           "without a reference: 1 (3)", "CIDEr of a single image is 0"}) {
    INFO(part);
    CHECK(o.err.find(part) != std::string::npos);
  }
  const json counts = desk.json("s.json")["counts"];
  for (const char* key : {"images", "unknown", "duplicates", "missing", "unreferenced"})
    CHECK(counts[key] == 1);
  CHECK(counts["results"] == 4);
  CHECK(counts["testlen"] == 2);  // the first of the two results
  desk.refused(kRun + "--strict", {"--strict", "unknown images: 1 (9)"});
}

TEST_CASE("eval caption: METEOR bears the names of its modules, WMD says on what vectors it stands") {
  const CaptionDesk desk;
  desk.write("v.txt", "red 3 4\nball 0 0\nsand 0 2\n");
  desk.ok(kRun + "--metrics meteor,wmd --wordnet none --word-vectors v.txt --wmd-normalize --out s.json");
  const json s = desk.json("s.json");
  CHECK(s["metrics"] == json({"METEOR_exact_stem", "WMD"}));
  CHECK(s["settings"]["METEOR"] == json({{"wordnet", nullptr}, {"paraphrases", nullptr}}));
  const json& wmd = s["settings"]["WMD"];
  CHECK(wmd["dimension"] == 2);
  CHECK(wmd["unit_length"] == true);
  CHECK(wmd["words"] == 8);  // red ball lies sand large blue cube one
  CHECK(wmd["words_with_vector"] == 3);
  CHECK(s["per_image"]["1"]["WMD"] == 1);
  CHECK(s["per_image"]["2"]["WMD"] == 0);  // no word has a vector
  desk.write("v.txt", "ReD 3 4\n");
  CHECK(desk.gmail(kRun + "--metrics wmd --word-vectors v.txt").err ==
        "WMD: none of the 8 words has a vector in v.txt\n");
  desk.refused(kRun + "--wordnet nowhere", {"nowhere"});
  desk.refused(kRun + "--metrics wmd", {"wmd needs --word-vectors"});
  desk.refused(kRun + "--word-vectors no.txt", {"cannot read no.txt"});
  desk.refused(kRun + "--spice nowhere", {"no spice-1.0.jar in nowhere"});
}

TEST_CASE("eval caption: the lines of caption run against a manifest") {
  const CaptionDesk desk;
  const auto record = [](const std::string& id, const std::string& captions) {
    return R"({"id": ")" + id + R"(", "image": ")" + id + R"(.png", "captions": )" + captions +
           R"(, "split": "train", "source": {"kind": "real"}})" + "\n";
  };
  desk.write("m.jsonl", record("a", R"(["A red ball", "one ball is here"])") +
                            record("b", R"(["a large blue cube stands"])"));
  desk.write("c.jsonl",
             "{\"id\": \"a\", \"caption\": \"a RED  ball\"}\n"
             "{\"image\": \"b.png\", \"caption\": \"a large blue cube stands.\", \"logprob\": -1}\n");
  desk.ok("eval caption --manifest m.jsonl --captions c.jsonl --out c.json");
  const json c = desk.json("c.json");
  CHECK(std::abs(c["overall"]["Bleu_4"].get<double>() - 1) < 1e-6);
  CHECK(c["overall"]["ROUGE_L"] == 1);
  CHECK(c["per_image"]["b"]["CIDEr"] == Approx(10));
  desk.write("half.jsonl", "{\"id\": \"a\", \"caption\": \"a red ball\"}\n");
  desk.refused("eval caption --manifest m.jsonl --captions half.jsonl",
               {"half.jsonl", "no caption for record \"b\""});
  desk.write("who.jsonl", "{\"id\": \"a\", \"caption\": \"a\"}\n{\"id\": \"r3\", \"caption\": \"a\"}\n");
  desk.refused("eval caption --manifest m.jsonl --captions who.jsonl", {"who.jsonl:2", "\"id\"", "r3"});
  desk.refused("eval caption --manifest m.jsonl --results r.json --captions who.jsonl",
               {"either --results or --captions"});
  desk.refused("eval caption --results r.json", {"expected both --annotations and --results"});
}

TEST_CASE("eval caption: captions of every kind have a score") {
  const CaptionDesk desk;
  std::string many;
  for (int i = 0; i < 10000; ++i) many += "word" + std::to_string(i % 700) + " ";
  const std::vector<std::pair<std::string, double>> captions = {
      {"", 0},
      {" . ", 0},
      {"a dog \xF0\x9F\x98\x80 \xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80", 1},
      {many, 1}};
  for (const auto& [caption, bleu] : captions) {
    const std::string quoted = json(caption).dump(), other = caption.size() > 3 ? quoted : "\"a cube\"";
    desk.write("a.json", R"({"images": [], "annotations": [{"image_id": 1, "caption": )" + other +
                             R"(}, {"image_id": 2, "caption": "a cube"}]})");
    desk.write("r.json",
               R"([{"image_id": 1, "caption": )" + quoted + R"(}, {"image_id": 2, "caption": "a cube"}])");
    INFO(caption.substr(0, 20));
    const Outcome o = desk.gmail(kRun + "--out s.json");
    CHECK(o.code == 0);
    const json s = desk.json("s.json");
    CHECK(std::abs(s["per_image"]["1"]["Bleu_1"].get<double>() - bleu) < 1e-6);
    CHECK(s["per_image"]["1"]["ROUGE_L"] == bleu);
    CHECK(s["counts"]["empty"] == (bleu > 0 ? 0 : 1));
    CHECK((o.err.find("empty captions: 1 (1)") != std::string::npos) == (bleu == 0));
  }
}

TEST_CASE("eval caption: files of every bad kind are refused, with the place") {
  const std::string kGood = R"({"image_id": 1, "caption": "a"})";
  struct Bad {
    std::string results, annotations;
    std::vector<std::string> parts;
  };
  const std::vector<Bad> all = {
      {"", kTwo, {"r.json:1", "not valid JSON"}},
      {kBoth, "", {"a.json:1", "not valid JSON"}},
      {"[]", kTwo, {"r.json", "none of its 0 results"}},
      {"{}", kTwo, {"r.json:1", "expected a list"}},
      {"[" + kGood, kTwo, {"r.json:1", "not valid JSON"}},
      {"[\n{\"image_id\": 1, \"caption\": \"\xFF\"}]", kTwo, {"r.json:2", "not valid UTF-8"}},
      {R"([{"image_id": 1}])", kTwo, {"r.json:1", "[0].caption", "expected a string, found nothing"}},
      {R"([{"caption": "a"}])", kTwo, {"r.json:1", "[0].image_id", "found nothing"}},
      {R"([{"image_id": 1, "caption": ["a"]}])", kTwo, {"[0].caption", "found [\"a\"]"}},
      {R"([{"image_id": 1.5, "caption": "a"}])", kTwo, {"[0].image_id", "found 1.5"}},
      {R"([{"image_id": null, "caption": "a"}])", kTwo, {"[0].image_id", "or a string, found null"}},
      {kBoth, "[]", {"a.json:1", "expected an object"}},
      {kBoth, R"({"images": []})", {"a.json:1", "annotations", "found nothing"}},
      {kBoth, R"({"images": 5, "annotations": []})", {"a.json:1", "images", "found 5"}},
      {kBoth, R"({"images": [{}], "annotations": []})", {"a.json:1", "images[0].id", "found nothing"}},
      {kBoth, R"({"images": [], "annotations": []})", {"none of its 2 results"}}};
  for (const Bad& bad : all) {
    const CaptionDesk desk(bad.results, bad.annotations);
    desk.refused(kRun, bad.parts);
  }
}

TEST_CASE("eval caption: files with a few bytes changed are read or refused") {
  const CaptionDesk desk;
  const auto read = [&] { (void)read_coco_captions(desk.dir / "a.json", desk.dir / "r.json"); };
  const int64_t rounds = fuzz_rounds(150);
  CHECK(count_refused(kTwo, 400, rounds, [&](const std::string& bytes) {
          desk.write("a.json", bytes);
          read();
        }) > rounds / 2);
  desk.write("a.json", kTwo);
  CHECK(count_refused(kBoth, 400, rounds, [&](const std::string& bytes) {
          desk.write("r.json", bytes);
          read();
        }) > rounds / 2);
}

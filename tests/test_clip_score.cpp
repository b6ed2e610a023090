// Protects CLIPScore and RefCLIPScore: by hand, and through the program with a CLIP of its own.
#include <cmath>

#include "catch.h"
#include "core/check.h"
#include "desk.h"
#include "eval/clip_score.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("clip score: by hand") {
  const auto rows = [](const std::vector<float>& x) { return Tensor::from(x, {std::ssize(x) / 2, 2}); };
  // cosines with the image 0.6, -1 and 0; with the best reference 0.8, 1 and none
  const Tensor captions = rows({3, 4, 1, 0, 1, 0}), images = rows({1, 0, -2, 0, 0, 1});
  const Tensor references = rows({-3, -4, 0, 2, 5, 0}),
               owner = Tensor::from(std::vector<int32_t>{0, 0, 1}, {3});
  const ClipScores s = clip_scores(captions, images, references, owner);
  CHECK(s.clip.each[0] == Approx(1.5));
  CHECK(s.clip.each[1] == 0);
  CHECK(s.clip.mean == Approx(0.5));
  CHECK(s.reference.each[0] == Approx(2 * 1.5 * 0.8 / 2.3));
  CHECK(s.reference.each[1] == 0);
  CHECK(s.reference.each[2] == 0);
  CHECK_THROWS_AS(clip_scores(captions, rows({1, 0}), references, owner), Error);
  CHECK_THROWS_AS(clip_scores(captions, rows({1, 0, 0, 0, 0, 1}), references, owner), InputError);
}

TEST_CASE("clip score: gmail eval caption with the images of COCO's files and of a manifest") {
  const Desk desk;
  desk.make_world();
  desk.make_model();
  desk.write("a.json",
             R"({"images": [{"id": 1, "file_name": "000000.png"}, {"id": "000001"}], "annotations": [
                 {"image_id": 1, "caption": "a red ball"}, {"image_id": "000001", "caption": "a cube"}]})");
  desk.write("r.json",
             R"([{"image_id": 1, "caption": "a red ball"}, {"image_id": "000001", "caption": "a cone"}])");
  const std::string coco =
      "eval caption --annotations a.json --results r.json --metrics clipscore --clip clip ";
  desk.ok(coco + "--images world/images --out c.json");
  const nlohmann::json c = desk.json("c.json");
  CHECK(c["metrics"] == nlohmann::json({"CLIPScore", "RefCLIPScore"}));
  CHECK(c["settings"]["CLIPScore"]["prefix"] == "A photo depicts ");
  // the caption is its reference: the harmonic mean of the score and 1
  const auto score = c["per_image"]["1"]["CLIPScore"].get<double>();
  CHECK(c["per_image"]["1"]["RefCLIPScore"].get<double>() == Approx(2 * score / (score + 1)).epsilon(1e-5));
  desk.write("m.jsonl",
             "{\"id\": \"1\", \"image\": \"world/images/000000.png\", \"captions\": [\"a red ball\"], "
             "\"split\": \"t\", \"source\": {\"kind\": \"real\"}}\n");
  desk.write("l.jsonl", "{\"id\": \"1\", \"caption\": \"a red ball\"}\n");
  desk.ok("eval caption --manifest m.jsonl --captions l.jsonl --clip clip --out m.json");
  CHECK(desk.json("m.json")["overall"]["CLIPScore"].get<double>() == Approx(score).epsilon(1e-6));
  desk.refused(coco, {"--clip needs --images"});
  desk.refused(coco + "--images world", {"--images world", "no 000000.png for image 1"});
  desk.refused(coco + "--images world/images --word-vectors v", {"--word-vectors is given"});
  desk.refused("eval caption --annotations a.json --results r.json --metrics clipscore",
               {"clipscore needs --clip"});
}

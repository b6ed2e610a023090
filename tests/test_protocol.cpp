// Protects the named protocols: the split, the cut of captions and the counts of each, and that a set with
// other counts, or of another name, is never reported as one of them.
#include "catch.h"

#include "core/check.h"
#include "desk.h"
#include "eval/protocol.h"

using namespace gmail;
using test::Desk;
using test::Outcome;

namespace {

Record record(const std::string& image, const std::string& split, int64_t captions) {
  Record r{image, "images/" + image, {}, split, std::nullopt, {}};
  for (int64_t i = 0; i < captions; ++i) r.captions.push_back(image + " " + std::to_string(i));
  return r;
}

// Embeddings of `images` images along different directions, with `each` texts each that are like them.
void save_set(const std::filesystem::path& file, int64_t images, int64_t each) {
  Tensor x = Tensor::empty({images, 2}), y = Tensor::empty({images * each, 2});
  std::vector<int32_t> owner;
  for (int64_t i = 0; i < images * each; ++i) {
    owner.push_back(static_cast<int32_t>(i % images));
    for (int64_t e = 0; e < 2; ++e)
      x.data<float>()[i % images * 2 + e] = y.data<float>()[i * 2 + e] =
          static_cast<float>(e == 0 ? 1 : i % images + 1);
  }
  save_safetensors(
      file,
      {{"image_embeds", x}, {"text_embeds", y}, {"text_image", Tensor::from(owner, {std::ssize(owner)})}});
}

}  // namespace

TEST_CASE("protocol: split, cut, counts and names") {
  const Protocol mini{"mini", "test", 2, 3, {6, 5}, ImageNames::twelve_digits};
  Manifest m{"m.jsonl",
             {record("000000000001.jpg", "test", 3), record("000000000002.jpg", "train", 3),
              record("000000000003.jpg", "test", 2), record("000000000004.jpg", "test", 5)}};
  const ProtocolSet good = select(mini, m);
  CHECK(good.mismatch == "");
  REQUIRE(good.manifest.size() == 3);
  CHECK(good.manifest[0].captions == std::vector<std::string>{"000000000001.jpg 0", "000000000001.jpg 1"});
  CHECK(good.manifest[1].id == "000000000003.jpg");
  m.records[0].captions.resize(1);  // 5 captions will do too
  CHECK(select(mini, m).mismatch == "");
  m.records[2].captions.resize(1);
  CHECK(select(mini, m).mismatch == "expected 3 images and 6 or 5 captions, found 3 and 4 in split \"test\"");
  Protocol whole = mini;
  whole.split = "", whole.first = 0, whole.images = 4, whole.texts = {10};
  CHECK(select(whole, m).mismatch == "");
  CHECK(select(whole, m).manifest.records == m.records);
  whole.texts = {9};
  CHECK(select(whole, m).mismatch == "expected 4 images and 9 captions, found 4 and 10");
  whole.texts = {10};
  m.records[3].image = "val2014/COCO_val2014_000000000004.jpg";
  CHECK(select(whole, m).mismatch == "expected images named twelve digits, found " + m.records[3].image);
  m.records[3].image = "00000.tar#000040004.jpg@512+100";  // a shard's key is its writer's
  CHECK(select(whole, m).mismatch == "");
  m.records[3].image = "4.jpg";
  whole.names = ImageNames::digits;
  CHECK(select(whole, m).mismatch == "");
  whole.names = ImageNames::coco_val2014;
  CHECK(select(whole, m).mismatch == "expected images named COCO_val2014_.., found images/000000000001.jpg");
}

TEST_CASE("protocol: the sets that papers report on") {
  CHECK(protocol_names() ==
        "coco-karpathy-5k, coco-val2017-5k-first5, flickr30k-1k, flickr30k-full, sharegpt4v-1k");
  const auto good = [](const char* name, int64_t images, int64_t texts) {
    return protocol_of(name).mismatch(images, texts).empty();
  };
  CHECK(good("coco-karpathy-5k", 5000, 25010));
  CHECK(good("coco-karpathy-5k", 5000, 25000));
  CHECK_FALSE(good("coco-karpathy-5k", 5000, 25001));
  CHECK_FALSE(good("coco-karpathy-5k", 4999, 25010));
  CHECK(good("coco-val2017-5k-first5", 5000, 25000));
  CHECK_FALSE(good("coco-val2017-5k-first5", 5000, 25014));
  CHECK(protocol_of("coco-val2017-5k-first5").first == 5);
  CHECK(protocol_of("coco-karpathy-5k").first == 0);
  CHECK(good("flickr30k-1k", 1000, 5000));
  CHECK(good("flickr30k-full", 31783, 158915));
  CHECK(protocol_of("flickr30k-full").split == "");
  CHECK(good("sharegpt4v-1k", 1000, 1000));
  CHECK_THROWS_WITH(protocol_of("coco"), Contains("--protocol: expected coco-karpathy-5k, "));
  CHECK(first_texts(std::vector<int32_t>{0, 1, 0, 0, 1, 2}, 2) == std::vector<int64_t>{0, 1, 2, 4, 5});
  CHECK(first_texts(std::vector<int32_t>{0, 1, 0, 0}, 0).size() == 4);
}

TEST_CASE("cli: eval retrieval --protocol") {
  const Desk desk;
  save_set(desk.dir / "f.safetensors", 1000, 6);
  const std::string eval = "eval retrieval --embeddings f.safetensors ";
  desk.refused(eval + "--protocol flickr30k-1k --strict",
               {"flickr30k-1k: expected 1000 images and 5000 captions, found 1000 and 6000"});
  const Outcome partial = desk.gmail(eval + "--protocol flickr30k-1k --out p.json");
  CHECK(partial.code == 0);
  CHECK(partial.err.find("warning: not the set of flickr30k-1k: expected 1000 images") != std::string::npos);
  CHECK(desk.json("p.json")["complete"] == false);
  CHECK(desk.json("p.json")["texts"] == 6000);
  const std::string shown = desk.ok(eval + "--protocol flickr30k-1k --captions-per-image 5 --out q.json");
  CHECK(shown.find("images\t1000\ntexts\t5000\n") != std::string::npos);
  CHECK(desk.json("q.json")["complete"] == true);
  CHECK(desk.json("q.json")["captions_per_image"] == 5);
  CHECK(desk.json("q.json")["protocol"] == "flickr30k-1k");
  desk.ok(eval + "--protocol all --captions-per-image 1 --out all.json");
  CHECK(desk.json("all.json").size() == 1);
  CHECK(desk.json("all.json")["sharegpt4v-1k"]["texts"] == 1000);
  desk.refused(eval + "--protocol all", {"no set is a protocol's", "flickr30k-full: expected 31783"});
  desk.refused(eval + "--protocol coco", {"expected coco-karpathy-5k"});
  desk.refused(eval + "--strict", {"goes with --protocol"});
  desk.make_world();
  desk.make_model();
  const std::string world = "eval retrieval --model clip --manifest world/manifest.jsonl ";
  desk.refused(world + "--protocol flickr30k-1k --strict",
               {"world/manifest.jsonl: expected 1000 images", "found 4 and 20"});
  desk.ok(world + "--protocol flickr30k-1k --captions-per-image 1 --out w.json");
  CHECK(desk.json("w.json")["images"] == 4);
  CHECK(desk.json("w.json")["texts"] == 4);
  CHECK(desk.json("w.json")["complete"] == false);
  desk.refused(world + "--manifest world/manifest.jsonl", {"--manifest: expected one, found 2"});
}

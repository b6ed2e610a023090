// Protects the importers: Flickr8k's files with their known flaws, folders with captions, folders of
// generated images.
#include <cstdlib>
#include <map>
#include <tuple>

#include "archive.h"
#include "catch.h"
#include "core/check.h"
#include "data/import_classes.h"
#include "data/import_flickr8k.h"
#include "data/import_folder.h"
#include "data/import_generated.h"
#include "io/files.h"
#include "temporary.h"

using namespace gmail;
using namespace gmail::test;
namespace fs = std::filesystem;

namespace {

// Importers look at names alone.
void touch(const fs::path& file) { write_without_flush(file, "x"); }

void make_flickr8k(const fs::path& folder) {
  make_dirs(folder / "images");
  make_dirs(folder / "splits");
  for (const char* name : {"1_a.jpg", "2_b.jpg", "3_c.jpg", "4_d.jpg", "5_silent.jpg"})
    touch(folder / "images" / name);
  write_without_flush(folder / "Flickr8k.token.txt",
                      "1_a.jpg#0\tA dog .\n1_a.jpg#1\tA brown dog runs .\r\n2_b.jpg#0\t Two men \n"
                      "2258277193_586949ec62.jpg.1#0\tA man .\n2258277193_586949ec62.jpg.1#1\tA person .\n"
                      "3_c.jpg#0\tA hill .\n4_d.jpg#0\tA sled .\n1_a.jpg#2\tDog .\n\n");
  write_without_flush(folder / "splits/Flickr_8k.trainImages.txt", "1_a.jpg\r\n");
  write_without_flush(folder / "splits/Flickr_8k.devImages.txt", "2_b.jpg\n9_gone.jpg\n");
  write_without_flush(folder / "splits/Flickr_8k.testImages.txt", "3_c.jpg");
}

std::map<std::string, int64_t> count_splits(const std::vector<Record>& records) {
  std::map<std::string, int64_t> counts;
  for (const Record& r : records) ++counts[r.split];
  return counts;
}

using Texts = std::vector<std::string>;

Record real(const std::string& id, int64_t captions) {
  Record r{id, id + ".png", {}, "train", std::nullopt, {}};
  for (int64_t i = 0; i < captions; ++i) r.captions.push_back(id + " " + std::to_string(i));
  return r;
}

}  // namespace

TEST_CASE("import flickr8k: captions, splits, and what is left out") {
  const TemporaryDir dir;
  make_flickr8k(dir / "flickr8k");
  make_dirs(dir / "runs");
  const Imported got = import_flickr8k(Flickr8kFiles::in(dir / "flickr8k"), dir / "runs");
  REQUIRE(got.records.size() == 4);
  CHECK(got.records[0] == Record{"1_a",
                                 "../flickr8k/images/1_a.jpg",
                                 {"A dog .", "A brown dog runs .", "Dog ."},
                                 "train",
                                 std::nullopt,
                                 {}});
  CHECK(got.records[1].captions == Texts{"Two men"});
  CHECK(got.records[1].split == "val");
  CHECK(got.records[2].split == "test");
  CHECK(got.records[3].split == "none");
  CHECK(got.report() ==
        "4 records; skipped: 2 captions of no image (first 2258277193_586949ec62.jpg.1), "
        "1 images without captions (5_silent.jpg), 1 names of a list without image (9_gone.jpg)");
  got.write(dir / "runs/m.jsonl");
  const Manifest m = read_manifest(dir / "runs/m.jsonl");
  CHECK(m.records == got.records);
  CHECK(fs::exists(m.image_path(3)));
}

TEST_CASE("import flickr8k: bad files are refused by name and line") {
  const TemporaryDir dir;
  make_flickr8k(dir.path());
  const Flickr8kFiles files = Flickr8kFiles::in(dir.path());
  write_without_flush(files.tokens, "1_a.jpg#0\tA dog .\n2_b.jpg\tTwo men .\n");
  CHECK_THROWS_WITH(
      import_flickr8k(files, dir.path()),
      files.tokens.string() + ":2: expected an image's name, # and a number, found \"2_b.jpg\"");
  write_without_flush(files.tokens, "1_a.jpg#0 A dog .\n");
  CHECK_THROWS_WITH(import_flickr8k(files, dir.path()),
                    files.tokens.string() + ":1: expected a name, a tab and a caption, found no tab");
  write_without_flush(files.tokens, "1_a.jpg#0\tA dog .\n1_a.jpg#1\t  \n");
  CHECK_THROWS_WITH(
      import_flickr8k(files, dir.path()),
      files.tokens.string() + ":2: expected a name, a tab and a caption, found an empty caption");
  write_without_flush(files.tokens, "1_a.jpg#0\tcaf\xE9\n");
  CHECK_THROWS_WITH(import_flickr8k(files, dir.path()),
                    files.tokens.string() + ":1: not valid UTF-8 at column 14");
  write_without_flush(files.test, "3_c.jpg\n1_a.jpg\n");
  CHECK_THROWS_WITH(import_flickr8k(files, dir.path()),
                    files.test.string() + ":2: 1_a.jpg is in the train list too");
  fs::remove(files.test);
  CHECK_THROWS_WITH(import_flickr8k(files, dir.path()),
                    "cannot read " + files.test.string() + ": No such file or directory");
  make_flickr8k(dir.path());
  fs::remove_all(files.images);
  CHECK_THROWS_WITH(import_flickr8k(files, dir.path()), files.images.string() + ": not a folder");
}

TEST_CASE("import flickr8k: the whole data set") {
  const char* given = std::getenv("FLICKR8K");
  const fs::path folder = given ? fs::path(given) : fs::path(GMAIL_SOURCE_DIR) / "../shared/data/flickr8k";
  if (!fs::exists(folder / "Flickr8k.token.txt")) {
    WARN("skipped: no Flickr8k; name its folder in FLICKR8K");
    return;
  }
  const TemporaryDir dir;
  const Imported got = import_flickr8k(Flickr8kFiles::in(folder), dir.path());
  CHECK(got.records.size() == 8091);
  CHECK(count_splits(got.records) ==
        std::map<std::string, int64_t>{{"none", 91}, {"test", 1000}, {"train", 6000}, {"val", 1000}});
  int64_t captions = 0;
  for (const Record& r : got.records) captions += static_cast<int64_t>(r.captions.size());
  CHECK(captions == 40455);
  CHECK(got.report() == "8091 records; skipped: 5 captions of no image (first 2258277193_586949ec62.jpg.1)");
  got.write(dir / "m.jsonl");
  const Manifest m = read_manifest(dir / "m.jsonl");
  CHECK(m.records == got.records);
  CHECK(fs::exists(m.image_path(8090)));
}

TEST_CASE("import folder: several captions an image, names that share a stem") {
  const TemporaryDir dir;
  for (const char* name : {"a.png", "b.JPG", "b.png", "c.jpeg", "notes.txt"}) touch(dir / name);
  write_without_flush(
      dir / "captions.tsv",
      "b.png\tsecond\na.png\tone\tand a tab\nb.JPG\tthird\na.png\ttwo\nnotes.txt\tno\nz.png\tgone\n");
  const Imported got = import_folder(dir.path(), dir / "captions.tsv", "test", dir.path());
  REQUIRE(got.records.size() == 3);
  CHECK(got.records[0] == Record{"b.png", "b.png", {"second"}, "test", std::nullopt, {}});
  CHECK(got.records[1] == Record{"a", "a.png", {"one\tand a tab", "two"}, "test", std::nullopt, {}});
  CHECK(got.records[2].id == "b.JPG");
  CHECK(got.report() ==
        "3 records; skipped: 2 captions of no image (first notes.txt), 1 images without captions (c.jpeg)");
  write_without_flush(dir / "captions.tsv", "z.png\tgone\n");
  CHECK_THROWS_WITH(
      import_folder(dir.path(), dir / "captions.tsv", "test", dir.path()).write(dir / "m.jsonl"),
      (dir / "m.jsonl").string() +
          ": nothing to import: 0 records; skipped: 1 captions of no image (z.png), "
          "4 images without captions (first a.png)");
  CHECK(!fs::exists(dir / "m.jsonl"));
}

TEST_CASE("import generated: names are matched to captions of the real manifest") {
  const TemporaryDir dir;
  // "x_1" and "x_1_2" are ids that look like captions of "x"
  Manifest m{dir / "real.jsonl", {real("x", 3), real("x_1", 2), real("12", 12), real("x_1_2", 1)}};
  m.records[2].split = "val";
  m.records[2].label = "cube";
  make_dirs(dir / "sd");
  for (const char* name :
       {"12_11.png", "12_2_1.jpg", "12_2_0.png", "x_0.png", "x_1_1.png", "x_1_2.png", "x_1_2_0.png",
        "x_0.jpg", "12_12.png", "13_0.png", "grid.png", "x_.png", "_1.png", "x_-1.png", "log.txt"})
    touch(dir / "sd" / name);
  const ImportedPairs all = import_generated({{(dir / "sd").string()}, PairBy::id, {}}, m,
                                             {"sd2", 5, 7.5, std::nullopt}, dir.path());
  const Imported& got = all.imported;
  std::vector<std::tuple<std::string, std::string, int64_t>> names;
  for (const Record& r : got.records) names.emplace_back(r.id, r.source.pair, r.source.caption);
  using Names = decltype(names);
  CHECK(names == Names{{"x_0", "x", 0},
                       {"x_1_2", "x", 1},  // the record x_1 has no caption 2
                       {"x_1_1", "x_1", 1},
                       {"12_2_0", "12", 2},
                       {"12_2_1", "12", 2},
                       {"12_11", "12", 11},
                       {"x_1_2_0", "x_1_2", 0}});
  CHECK(got.records[0].image == "sd/x_0.jpg");
  CHECK(
      got.records[4] ==
      Record{
          "12_2_1", "sd/12_2_1.jpg", {"12 2"}, "val", "cube", {true, "12", 2, "sd2", 5, 7.5, std::nullopt}});
  CHECK(got.report() ==
        "7 records; skipped: 3 files not named <id> or <id>_<caption> (first sd/grid.png), "
        "1 images of a caption that the record does not have (sd/12_12.png), 2 images of an unknown record "
        "(first sd/13_0.png), 1 second files of the same image (sd/x_0.png)");
  CHECK(all.pairing() == "7 paired with 4 real records, 0 ambiguous, 6 unmatched");
  got.write(dir / "generated.jsonl");
  const Manifest back = read_manifest(dir / "generated.jsonl");
  CHECK(pairs(back, m).size() == 7);
  CHECK(fs::exists(back.image_path(4)));
  CHECK_THROWS_WITH(import_generated({{(dir / "sd").string()}, PairBy::id, {}}, m, {}, dir.path()),
                    "generator: expected a name, found nothing");
}

TEST_CASE("import generated: an id alone, captions beside the images, and numbers") {
  const TemporaryDir dir;
  Manifest m{dir / "real.jsonl", {real("x", 2), real("y_7", 1), real("z", 1)}};
  m.records[0].captions[1] = "a  red\tcube";
  m.records[1].captions[0] = m.records[2].captions[0] = "a dog";
  const auto names = [&](PairBy by, const std::string& caption, std::string& pairing) {
    const ImportedPairs got = import_generated({{(dir / "g").string()}, by, CaptionSource::parse(caption)}, m,
                                               {"sd2", {}, {}, {}}, dir.path());
    pairing = got.pairing() + "; " + got.imported.report();
    Texts all;
    for (const Record& r : got.imported.records)
      all.push_back(r.id + " " + r.source.pair + " " + std::to_string(r.source.caption));
    return all;
  };
  make_dirs(dir / "g");
  for (const char* name : {"x.png", "y_7.png", "x_1.png", "2.png", "7.png", "0003.png"})
    touch(dir / "g" / name);
  std::string pairing;
  CHECK(names(PairBy::id, "txt", pairing) == Texts{"x x 0", "x_1 x 1", "y_7 y_7 0"});
  CHECK(names(PairBy::index, "txt", pairing) == Texts{"2 y_7 0", "0003 z 0"});
  CHECK(pairing ==
        "2 paired with 2 real records, 0 ambiguous, 4 unmatched; 2 records; skipped: "
        "3 images not named by a number (first g/x.png), 1 images of a number beyond the captions (g/7.png)");

  for (const auto& [name, text] :
       {std::pair("x", " a red \n cube\n"), std::pair("x_1", "a red cube"), std::pair("y_7", "a dog"),
        std::pair("2", "A red cube"), std::pair("7", "")})
    write_without_flush(dir / "g" / (std::string(name) + ".txt"), text);
  CHECK(names(PairBy::caption, "txt", pairing) == Texts{"x x 1", "x_1 x 1"});
  CHECK(pairing ==
        "2 paired with 1 real records, 1 ambiguous, 1 unmatched; 2 records; skipped: "
        "1 images of a caption that several records have (g/y_7.png), 1 images of an unknown caption "
        "(g/2.png), "
        "1 samples with an empty caption (7.png), 1 samples without a .txt (0003.png)");
  write_without_flush(dir / "g/x.json", R"({"prompt": "x 0"})");
  CHECK(names(PairBy::caption, "json:prompt", pairing) == Texts{"x x 0"});

  // the same from a shard
  const std::string image = "\xFF\xD8";
  write_without_flush(dir / "g/0.tar",
                      make_tar({{"a/x_1.jpg", image}, {"b/x_9.jpg", image}, {"b/x_9.txt", "a  red cube"}}));
  CHECK(names(PairBy::id, "txt", pairing) == Texts{"a/x_1 x 1"});
  CHECK(names(PairBy::caption, "txt", pairing) == Texts{"b/x_9 x 1"});
  CHECK_THROWS_WITH(pair_by("name"), "--key: expected id, caption or index, found \"name\"");
}

TEST_CASE("import classes: labels and captions from folders") {
  const TemporaryDir dir;
  for (const char* name : {"set/red_cube", "set/n02/images", "set/empty"}) make_dirs(dir / name);
  for (const char* name : {"set/red_cube/1.png", "set/red_cube/1.jpg", "set/n02/images/2.JPEG",
                           "set/n02/notes.txt", "set/x.png"})
    touch(dir / name);
  const Imported got = import_classes(dir / "set", "", "val", dir.path());
  REQUIRE(got.records.size() == 3);
  CHECK(got.records[0] ==
        Record{"n02/images/2", "set/n02/images/2.JPEG", {"a photo of a n02."}, "val", "n02", {}});
  CHECK(got.records[1].id == "red_cube/1.jpg");
  CHECK(got.records[2].label == "red cube");
  CHECK(got.report() ==
        "3 records; skipped: 1 classes without images (empty), "
        "1 files in no class's folder (x.png), 1 files that are neither JPEG nor PNG (" +
            (dir / "set/n02/notes.txt").string() + ")");
  const fs::path names = dir / "names.tsv";
  write_without_flush(names, "n02\tgoldfish\nred_cube\tcube\nn03\tshark\n");
  const Imported named = import_classes(dir / "set", names, "val", dir.path());
  CHECK(named.records[0].label == "goldfish");
  CHECK(named.records[2].captions == Texts{"a photo of a cube."});
  CHECK_THAT(named.report(), Contains("1 names of no folder (n03)"));
  write_without_flush(names, "n02\tcube\nred_cube\tcube\n");
  CHECK_THROWS_WITH(import_classes(dir / "set", names, "val", dir.path()),
                    Contains("the classes \"n02\" and \"red_cube\" have one name, \"cube\""));
  write_without_flush(names, "n02\tcube\n");
  CHECK_THROWS_WITH(import_classes(dir / "set", names, "val", dir.path()),
                    Contains("no line for the class \"red_cube\""));
  CHECK_THROWS_WITH(import_classes(dir / "set/empty", "", "val", dir.path()),
                    Contains("a folder for each class, found none"));
}

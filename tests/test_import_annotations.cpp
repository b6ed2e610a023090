// Protects the importers of the field's annotation files: what becomes a record, what is left out and
// counted, the errors of bad files, and that no bytes do worse than an error.
#include <set>

#include "catch.h"
#include "core/check.h"
#include "data/import_cc.h"
#include "data/import_coco.h"
#include "data/import_flickr30k.h"
#include "data/import_karpathy.h"
#include "data/import_sharegpt4v.h"
#include "fuzz.h"
#include "io/files.h"
#include "temporary.h"

using namespace gmail;
using namespace gmail::test;
namespace fs = std::filesystem;

namespace {

using Texts = std::vector<std::string>;

struct Got {
  std::vector<Record> records;
  std::string skipped;
  [[nodiscard]] std::string ids() const {
    std::string all;
    for (const Record& r : records)
      all += r.id + ":" + r.split + ":" + std::to_string(r.captions.size()) + " ";
    return all;
  }
};

template <class Import, class Files>
Got run(const Import& import, const Files& files, const fs::path& folder) {
  Got got;
  std::set<std::string> ids;
  const auto add = [&](const Record& r) {
    if (!ids.insert(r.id).second) return false;
    got.records.push_back(r);
    return true;
  };
  got.skipped = import(files, folder, add).text();
  return got;
}

// Importers look at names alone.
void touch(const fs::path& folder, const Texts& names) {
  for (const std::string& name : names) {
    make_parent_dirs(folder / name);
    write_without_flush(folder / name, "x");
  }
}

const char* const kCoco = R"({"info": {"year": 2014}, "images": [
 {"license": 5, "file_name": "COCO_train2014_000000000009.jpg",
  "coco_url": "http://x.org/train2014/9.jpg", "id": 9},
 {"id": 7, "file_name": "b.jpg"}, {"id": 8, "file_name": "gone.jpg"}, {"id": 6, "file_name": "silent.jpg"},
 {"id": 7, "file_name": "b.jpg"}],
 "annotations": [{"image_id": 7, "id": 1, "caption": " two\n dogs \n"},
 {"image_id": 9, "id": 2, "caption": "a \"cat\""},
 {"image_id": 7, "id": 3, "caption": "more"}, {"image_id": 7, "id": 3, "caption": "again"},
 {"image_id": 8, "id": 4, "caption": "lost"}, {"image_id": 5, "id": 5, "caption": "nobody's"},
 {"image_id": "9", "id": 6, "caption": " \n"}]})";

const char* const kKarpathy = R"({"images": [
 {"filepath": "val2014", "sentids": [1], "filename": "v_1.jpg", "imgid": 0, "split": "test",
  "sentences": [{"tokens": ["a"], "raw": "A dog.", "imgid": 0, "sentid": 1}, {"raw": " Two. "}],
  "cocoid": 391895},
 {"filepath": "train2014", "filename": "t_2.jpg", "split": "train", "sentences": [{"raw": "b"}], "cocoid": 2},
 {"filepath": "val2014", "filename": "v_3.jpg", "split": "restval",
  "sentences": [{"raw": "c"}, {"raw": ""}], "cocoid": 3},
 {"filename": "flat.jpg", "split": "val", "sentences": [{"raw": "d"}]},
 {"filename": "gone.jpg", "split": "val", "sentences": [{"raw": "e"}]}], "dataset": "coco"})";

const char* const kTokens =
    "1.jpg#0\tTwo men , in green .\n1.jpg#1\t A garden \r\n2.jpg#0\tx\ty\n2.jpg#0\tonce "
    "more\n3.jpg#0\tgone\n1.jpg#2\t \n";

const char* const kTsv =
    "a dog\thttp://x.org/1.jpg\n  cat  \thttps://x.org/2\nno image\thttp://x.org/3\n \thttp://x.org/4\n";

const char* const kShare = R"([
 {"id": "000000000009", "image": "coco/train2017/9.jpg",
  "conversations": [{"from": "human", "value": "<image>\nWhat?"},
  {"from": "gpt", "value": "A long\n\ncaption. "}, {"from": "gpt", "value": "no"}]},
 {"id": 12, "image": "sam/images/sa_1.jpg", "conversations": [{"value": "two", "from": "gpt"}], "model": "x"},
 {"id": "t", "conversations": []}, 
 {"id": "12", "image": "sam/images/sa_1.jpg", "conversations": [{"from": "gpt", "value": "z"}]},
 {"id": "e", "image": "sam/images/sa_1.jpg", "conversations": [{"from": "human", "value": "?"}]},
 {"id": "g", "image": "llava/none/1.jpg", "conversations": [{"from": "gpt", "value": "z"}]}])";

template <class F>
std::string error_of(const F& body) {
  try {
    body();
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

// Mutates the file and imports it: an InputError or some records, each of which can be written.
template <class Import, class Files>
void fuzz(const std::string& good, const fs::path& file, const Files& files, const Import& import,
          std::string_view characters = "0123456789{}[]\",:-\\e\n") {
  const int64_t rounds = fuzz_rounds(60);
  int64_t records = 0;
  const fs::path folder = file.parent_path();
  const int64_t refused = count_refused(
      good, good.size(), rounds,
      [&](const std::string& text) {
        write_without_flush(file, text);
        const Got got = run(import, files, folder);
        records += static_cast<int64_t>(got.records.size());
        for (const Record& r : got.records) {
          const bool fine = !r.id.empty() && !r.image.empty() && !r.captions.empty();
          if (!fine || fs::path(r.image).is_absolute()) FAIL(text);
        }
      },
      characters);
  CHECK(refused > 0);
  CHECK(records > 0);
}

}  // namespace

TEST_CASE("import coco: images and annotations come together") {
  const TemporaryDir dir;
  touch(dir.path(), {"i/train2014/COCO_train2014_000000000009.jpg", "i/b.jpg", "i/silent.jpg"});
  write_without_flush(dir / "a.json", kCoco);
  const CocoFiles files{{dir / "a.json"}, dir / "i", "val"};
  const Got got = run(import_coco, files, dir / "runs");
  CHECK(got.ids() == "9:val:1 7:val:2 ");
  CHECK(
      got.records[0] ==
      Record{"9", "../i/train2014/COCO_train2014_000000000009.jpg", {"a \"cat\""}, "val", std::nullopt, {}});
  CHECK(got.records[1].captions == Texts{"two\n dogs", "more"});
  CHECK(got.skipped ==
        "; skipped: 1 annotations whose id came before (annotation 3), 1 captions of no image (image 5), "
        "1 empty captions (of image 9), 1 images that are not there (gone.jpg), "
        "1 images whose id came before (image 7), 1 images without captions (silent.jpg)");
  // a second file, with the annotations in front; the first file once more changes nothing
  write_without_flush(dir / "b.json",
                      R"({"annotations": [{"image_id": 6, "id": 70, "caption": "s"}], "images": []})");
  const Got both = run(
      import_coco, CocoFiles{{dir / "b.json", dir / "a.json", dir / "a.json"}, dir / "i", "t"}, dir / "i");
  CHECK(both.ids() == "9:t:1 7:t:2 6:t:1 ");
  CHECK(both.records[1].image == "b.jpg");
  const std::string report = stream_manifest(dir / "m.jsonl", [&](const AddRecord& add) {
    return import_coco({{dir / "b.json", dir / "a.json"}, dir / "i", "t"}, dir.path(), add);
  });
  CHECK(report.starts_with("3 records, 4 captions; skipped: 1 annotations"));
  CHECK(fs::exists(read_manifest(dir / "m.jsonl").image_path(0)));
}

TEST_CASE("import coco: flat lists of captions, by the usual names") {
  const TemporaryDir dir;
  touch(dir / "i", {"000000000001.jpg", "val2014/COCO_val2014_000000000002.jpg"});
  write_without_flush(dir / "r.json",
                      R"([{"image_id": 1, "caption": "one"}, {"image_id": "2", "caption": "two"},
    {"image_id": 3, "caption": "gone"}, {"image_id": 1, "caption": "more"}])");
  const Got got = run(import_coco, CocoFiles{{dir / "r.json"}, dir / "i", "t"}, dir.path());
  CHECK(got.ids() == "1:t:2 2:t:1 ");
  CHECK(got.records[1].image == "i/val2014/COCO_val2014_000000000002.jpg");
  CHECK(got.skipped == "; skipped: 1 images that are not there (000000000003.jpg)");
}

TEST_CASE("import coco: bad files are refused by line and field, and nothing is written") {
  const TemporaryDir dir;
  touch(dir / "i", {"a.jpg"});
  const auto error = [&](const std::string& text) {
    write_without_flush(dir / "a.json", text);
    const std::string what = error_of([&] {
      (void)stream_manifest(dir / "m.jsonl", [&](const AddRecord& add) {
        return import_coco({{dir / "a.json"}, dir / "i", "t"}, dir.path(), add);
      });
    });
    CHECK(!fs::exists(dir / "m.jsonl"));
    CHECK(dir.entries() == 2);
    const std::string name = (dir / "a.json").string();
    return what.starts_with(name) ? what.substr(name.size()) : what;
  };
  CHECK(error("{\"images\": []}") == ":1: field \"annotations\": expected a list, found nothing");
  CHECK(error("{\"annotations\": []}") == ":1: field \"images\": expected a list, found nothing");
  CHECK(error("{\"images\":\n[{\"id\": 1.5, \"file_name\": \"a.jpg\"}]}") ==
        ":2: field \"images[0].id\": expected a whole number, zero or more, found 1.5");
  CHECK(error("{\"images\": [{\"id\": 1, \"file_name\": \"../a.jpg\"}]}") ==
        ":1: field \"images[0].file_name\": expected the name of an image, found \"../a.jpg\"");
  CHECK(error("{\"images\": [{\"id\": 1}]}") ==
        ":1: field \"images[0].file_name\": expected the name of an image, found nothing");
  CHECK(
      error("{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}, {\"id\": 1, \"file_name\": \"b.jpg\"}]}") ==
      ":1: image 1 is \"b.jpg\", and was \"a.jpg\" before");
  CHECK(error("{\"annotations\": [{\"image_id\": 1, \"id\": 1, \"segmentation\": []}]}") ==
        ":1: field \"annotations[0].caption\": expected a string, found nothing");
  CHECK(error("[{\"image_id\": \"one\", \"caption\": \"c\"}]") ==
        ":1: field \"[0].image_id\": expected a whole number, zero or more, found \"one\"");
  CHECK(error("{\"images\": [],}") == ":1: not valid JSON at column 15");
  CHECK(error("{\"images\": [{\"id\": 8, \"file_name\": \"z\"}], \"annotations\": []}") ==
        (dir / "m.jsonl").string() +
            ": nothing to import: 0 records, 0 captions; skipped: 1 images that are not there (z)");
  CHECK(error_of([&] {
          run(import_coco, CocoFiles{{dir / "a.json"}, dir / "none", "t"}, dir.path());
        }) == (dir / "none").string() + ": not a folder");
}

TEST_CASE("import karpathy: splits, and restval in three ways") {
  const TemporaryDir dir;
  touch(dir / "i", {"val2014/v_1.jpg", "t_2.jpg", "val2014/v_3.jpg", "flat.jpg"});
  write_without_flush(dir / "k.json", kKarpathy);
  const Got got = run(import_karpathy, KarpathyFiles{dir / "k.json", dir / "i"}, dir.path());
  CHECK(got.ids() == "391895:test:2 2:train:1 3:train:1 flat:val:1 ");
  CHECK(got.records[0] ==
        Record{"391895", "i/val2014/v_1.jpg", {"A dog.", "Two."}, "test", std::nullopt, {}});
  CHECK(got.records[1].image == "i/t_2.jpg");
  CHECK(got.skipped == "; skipped: 1 empty captions (of v_3.jpg), 1 images that are not there (gone.jpg)");
  const Got kept = run(import_karpathy, KarpathyFiles{dir / "k.json", dir / "i", Restval::keep}, dir.path());
  CHECK(kept.records[2].split == "restval");
  const Got dropped =
      run(import_karpathy, KarpathyFiles{dir / "k.json", dir / "i", Restval::drop}, dir.path());
  CHECK(dropped.ids() == "391895:test:2 2:train:1 flat:val:1 ");
  CHECK(dropped.skipped ==
        "; skipped: 1 images of restval (v_3.jpg), 1 images that are not there (gone.jpg)");
  std::string bad = kKarpathy;
  bad.replace(bad.find("\"restval\""), 9, "\"dev\"");
  write_without_flush(dir / "k.json", bad);
  CHECK(error_of([&] {
          run(import_karpathy, KarpathyFiles{dir / "k.json", dir / "i"}, dir.path());
        }) == (dir / "k.json").string() +
                  ":6: field \"images[2].split\": expected \"train\", \"val\", \"test\" or \"restval\", "
                  "found \"dev\"");
}

TEST_CASE("import flickr30k: token file and text form, with and without Karpathy's splits") {
  const TemporaryDir dir;
  touch(dir / "i", {"1.jpg", "2.jpg"});
  write_without_flush(dir / "t.token", kTokens);
  Flickr30kFiles files{dir / "t.token", dir / "i", "", "test"};
  const Got got = run(import_flickr30k, files, dir.path());
  CHECK(got.ids() == "1:test:2 2:test:1 ");
  CHECK(got.records[0].captions == Texts{"Two men , in green .", "A garden"});
  CHECK(got.records[1].captions == Texts{"x\ty"});
  CHECK(got.skipped ==
        "; skipped: 1 captions that came before (2.jpg#0), 1 empty captions (of 1.jpg), "
        "1 images that are not there (3.jpg)");
  files.karpathy = dir / "k.json";
  write_without_flush(files.karpathy,
                      R"({"images": [{"filename": "2.jpg", "split": "val", "sentences": []}]})");
  CHECK(run(import_flickr30k, files, dir.path()).ids() == "1:none:2 2:val:1 ");
  for (const char* header : {"image,caption\n", ""}) {
    write_without_flush(files.captions,
                        std::string(header) + "2.jpg,\"a, b.\"\n1.jpg,x.jpg, y\n2.jpg,\"a, b.\"");
    const Got text = run(import_flickr30k, files, dir.path());
    CHECK(text.ids() == "2:val:2 1:none:1 ");
    CHECK(text.records[0].captions == Texts{"\"a, b.\"", "\"a, b.\""});
    CHECK(text.records[1].captions == Texts{"x.jpg, y"});
  }
  write_without_flush(files.captions, "1.jpg#0\ta\n1.jpg#x\tb\n");
  CHECK(error_of([&] { run(import_flickr30k, files, dir.path()); }) ==
        files.captions.string() +
            ":2: expected an image's name, # and a number, a tab and a caption, found \"1.jpg#x\tb\"");
  write_without_flush(files.captions, "header\n1.jpg;b\n");
  CHECK(error_of([&] { run(import_flickr30k, files, dir.path()); }) ==
        files.captions.string() +
            ":2: expected an image's name with .jpg, a comma and a caption, found \"1.jpg;b\"");
}

TEST_CASE("import cc: both orders, both namings, with and without a header") {
  const TemporaryDir dir;
  touch(dir.path(), {"flat/0.jpg", "flat/000000001.png", "flat/3.jpg", "s/00000/000000000.jpg",
                     "s/00000/000000001.jpg", "s/00001/000010000.jpg"});
  write_without_flush(dir / "a.tsv", kTsv);
  const std::string skipped =
      "; skipped: 1 empty captions (3.jpg), 1 lines without an image (2, http://x.org/3)";
  const Got got = run(import_cc, CcFiles{dir / "a.tsv", dir / "flat"}, dir.path());
  CHECK(got.ids() == "0:train:1 000000001:train:1 ");
  CHECK(got.records[1] == Record{"000000001", "flat/000000001.png", {"cat"}, "train", std::nullopt, {}});
  CHECK(got.skipped == skipped);
  write_without_flush(dir / "b.tsv",
                      "url\tcaption\nhttp://x.org/1\ta dog\nhttps://x.org/2\tcat\nhttp://x\thttp://y\n");
  CcFiles files{dir / "b.tsv", dir / "s"};
  files.per_shard = 2;
  const Got shards = run(import_cc, files, dir.path());
  CHECK(shards.ids() == "000000000:train:1 000000001:train:1 000010000:train:1 ");
  CHECK(shards.records[2].captions == Texts{"http://y"});
  files.order = CcOrder::caption_url;
  CHECK(error_of([&] { run(import_cc, files, dir.path()); }) ==
        (dir / "b.tsv").string() + ":2: expected an address in column 2, found \"a dog\"");
  files.order = CcOrder::automatic;
  const auto error = [&](const std::string& text) {
    write_without_flush(dir / "b.tsv", text);
    return error_of([&] { run(import_cc, files, dir.path()); }).substr((dir / "b.tsv").string().size());
  };
  CHECK(error("a\tb\n") == ":1: expected one column with an address, to tell the order; found none");
  CHECK(error("http://a\thttps://b\n") ==
        ":1: expected one column with an address, to tell the order; found two");
  CHECK(error("a\thttp://a\nb\thttp://a\tc\n") ==
        ":2: expected a caption and an address with a tab between, found 3 columns");
  CHECK(error("caf\xE9\thttp://a\n") == ":1: not valid UTF-8 at column 4");
}

TEST_CASE("import sharegpt4v: what gpt says first") {
  const TemporaryDir dir;
  touch(dir / "i", {"coco/train2017/9.jpg", "sam/images/sa_1.jpg"});
  write_without_flush(dir / "s.json", kShare);
  ShareGpt4vFiles files{dir / "s.json", dir / "i", -1, 1};
  const Got got = run(import_sharegpt4v, files, dir.path());
  CHECK(got.ids() == "000000000009:test:1 12:train:1 ");
  CHECK(got.records[0].image == "i/coco/train2017/9.jpg");
  CHECK(got.records[0].captions == Texts{"A long\n\ncaption."});
  CHECK(got.skipped ==
        "; skipped: 1 entries whose id came before (12), 1 entries without a caption (e), "
        "1 entries without an image (t), 1 images that are not there (llava/none/1.jpg)");
  files.first = 1;
  write_without_flush(dir / "s.json", std::string(kShare).substr(0, 300));  // the rest is not read
  CHECK(run(import_sharegpt4v, files, dir.path()).ids() == "000000000009:test:1 ");
  files.first = -1;
  CHECK(error_of([&] { run(import_sharegpt4v, files, dir.path()); }).find("not valid JSON") !=
        std::string::npos);
  write_without_flush(dir / "s.json", "[{\"id\": \"1\", \"image\": \"/etc/passwd\"}]");
  CHECK(error_of([&] { run(import_sharegpt4v, files, dir.path()); }) ==
        (dir / "s.json").string() +
            ":1: field \"[0].image\": expected the path of an image, found \"/etc/passwd\"");
}

TEST_CASE("importers: no bytes make them do anything but return or refuse") {
  const TemporaryDir dir;
  touch(dir / "i", {"train2014/COCO_train2014_000000000009.jpg", "b.jpg", "val2014/v_1.jpg", "flat.jpg",
                    "1.jpg", "2.jpg", "0.jpg", "coco/train2017/9.jpg", "sam/images/sa_1.jpg"});
  const fs::path file = dir / "f", i = dir / "i";
  fuzz(kCoco, file, CocoFiles{{file}, i, "t"}, import_coco);
  fuzz(kKarpathy, file, KarpathyFiles{file, i}, import_karpathy);
  fuzz(kTokens, file, Flickr30kFiles{file, i, "", "t"}, import_flickr30k, "0123456789#\t\n.jpg");
  fuzz(kTsv, file, CcFiles{file, i}, import_cc, "0123456789\t\nhttp:/");
  fuzz(kShare, file, ShareGpt4vFiles{file, i}, import_sharegpt4v);
}

TEST_CASE("import coco: the files of the caption reference data") {
  const fs::path data = fs::path(GMAIL_SOURCE_DIR) / "../shared/data/coco-caption";
  const fs::path references = data / "captions_val2017_humanrest_annotations.json";
  if (!fs::exists(references)) {
    WARN("skipped: no " << references);
    return;
  }
  const TemporaryDir dir;
  make_dirs(dir / "i");
  // The images are not there: their names, from the message that names the first, and from the file.
  const auto without = [&](const fs::path& file) {
    return run(import_coco, CocoFiles{{file}, dir / "i", "val"}, dir.path()).skipped;
  };
  CHECK(without(references) == "; skipped: 5000 images that are not there (first 000000397133.jpg)");
  CHECK(without(data / "captions_fakecap126_annotations.json") ==
        "; skipped: 126 images that are not there (first 000000397133.jpg)");
  CHECK(without(data / "captions_val2014_fakecap_results.json") ==
        "; skipped: 1000 images that are not there (first 000000404464.jpg)");
  CHECK(without(data / "captions_val2017_humanfirst_results.json") ==
        "; skipped: 5000 images that are not there (first 000000397133.jpg)");
  touch(dir / "i", {"000000397133.jpg", "val2017/000000015335.jpg"});
  const Got got = run(import_coco, CocoFiles{{references}, dir / "i", "val"}, dir.path());
  CHECK(got.skipped == "; skipped: 4999 images that are not there (first 000000037777.jpg)");
  REQUIRE(got.records.size() ==
          1);  // this file has no addresses: its images are looked for in the folder itself
  CHECK(got.records[0].captions.size() == 4);
  CHECK(got.records[0].captions[0] == "Man in apron standing on front of oven with pans and bakeware");
}

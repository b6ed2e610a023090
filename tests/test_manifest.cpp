// Protects the manifest: what is read, the exact words of each error, pairs, and a file that survives a kill.
#include <sys/resource.h>

#include <csignal>

#include "catch.h"
#include "core/check.h"
#include "data/manifest.h"
#include "data/name_set.h"
#include "fuzz.h"
#include "io/files.h"
#include "io/utf8.h"
#include "temporary.h"

using namespace gmail;
using namespace gmail::test;

namespace {

std::string line(const std::string& id, const std::string& rest = "") {
  return "{\"id\":\"" + id + "\",\"image\":\"i/" + id +
         ".png\",\"captions\":[\"one\",\"two\"],\"split\":\"train\"," + rest +
         "\"source\":{\"kind\":\"real\"}}\n";
}

std::string six_lines() {
  std::string text;
  for (int i = 1; i <= 6; ++i) text += line(std::to_string(i));
  return text;
}

// The error of a manifest whose line 7 is this one, without the file's name in front.
std::string error_of(const std::string& seventh) {
  const TemporaryDir dir;
  const std::filesystem::path file = dir / "m.jsonl";
  write_without_flush(file, six_lines() + seventh + "\n");
  try {
    (void)read_manifest(file);
  } catch (const InputError& e) {
    const std::string what = e.what(), name = file.string();
    return what.starts_with(name) ? what.substr(name.size()) : what;
  }
  return "no error";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  REQUIRE(text.find(from) != std::string::npos);
  return text.replace(text.find(from), from.size(), to);
}

Record real(const std::string& id, int captions) {
  Record r{id, "images/" + id + ".png", {}, "train", std::nullopt, {}};
  for (int i = 0; i < captions; ++i) r.captions.push_back("caption " + std::to_string(i));
  return r;
}

Record generated(const std::string& id, const std::string& pair, int64_t caption) {
  Record r = real(id, 1);
  r.source = {true, pair, caption, "unet", 7, 2.5, 50};
  return r;
}

}  // namespace

TEST_CASE("manifest: every field comes back, paths are relative to the file") {
  const TemporaryDir dir;
  std::vector<Record> records = {real("a", 5), generated("b", "a", 4), real("c", 1)};
  records[0].label = "cube";
  records[0].captions[1] = "na\xC3\xAFve \"quoted\"\t\xF0\x9F\x98\x80\n";
  records[1].source.guidance = 0.1;
  records[1].source.seed.reset();
  records[2].split = "test";
  write_manifest(dir / "m.jsonl", records);
  const Manifest m = read_manifest(dir / "m.jsonl");
  CHECK(m.records == records);
  CHECK(m.image_path(1) == dir / "images/b.png");
  const Manifest test = m.filter("test");
  REQUIRE(test.size() == 1);
  CHECK(test[0] == records[2]);
  CHECK(test.image_path(0) == dir / "images/c.png");
  CHECK(m.filter("val").size() == 0);
}

TEST_CASE("manifest: each error names line and field") {
  const std::string good = line("7");
  CHECK(error_of(good.substr(0, good.size() - 1)) == "no error");
  CHECK(error_of("{\"id\": \"7\", \"image\" \"x\"}") == ":7: not valid JSON at column 21");
  CHECK(error_of(good.substr(0, 30)) == ":7: not valid JSON at column 31");
  CHECK(error_of("") == ":7: not valid JSON at column 1");
  CHECK(error_of("[1]") == ":7: expected an object, found [1]");
  CHECK(error_of(replaced(good, "[\"one\",\"two\"]", "[]")) ==
        ":7: field \"captions\": expected a non-empty list of strings, found []");
  CHECK(error_of(replaced(good, "\"captions\":[\"one\",\"two\"],", "")) ==
        ":7: field \"captions\": expected a non-empty list of strings, found nothing");
  CHECK(error_of(replaced(good, "\"two\"", "3")) ==
        ":7: field \"captions\": expected a non-empty list of strings, found [\"one\",3]");
  CHECK(error_of(replaced(good, "\"two\"", "\" \"")) ==
        ":7: field \"captions\": expected a non-empty list of strings, found [\"one\",\" \"]");
  CHECK(error_of(replaced(good, "\"image\":\"i/7.png\",", "")) ==
        ":7: field \"image\": expected a non-empty string, found nothing");
  CHECK(error_of(replaced(good, "\"7\"", "7")) == ":7: field \"id\": expected a non-empty string, found 7");
  CHECK(error_of(line("7", "\"colour\":\"red\",")) ==
        ":7: field \"colour\": unknown; known are id, image, captions, split, label, source");
  CHECK(error_of(line("7", "\"label\":null,")) ==
        ":7: field \"label\": expected a non-empty string, found null");
  CHECK(error_of(line("7", "\"id\":\"8\",")) == ":7: field \"id\" is given twice");
  CHECK(error_of(line("3")) == ":7: field \"id\": \"3\" is taken by line 3");
  CHECK(error_of(replaced(good, "one", "caf\xC3")) == ":7: not valid UTF-8 at column 45");
  CHECK(error_of(replaced(good, "\"real\"", "\"made\"")) ==
        ":7: field \"source.kind\": expected \"real\" or \"generated\", found \"made\"");
  CHECK(error_of(replaced(good, "\"real\"", "\"real\",\"seed\":1")) ==
        ":7: field \"source.seed\": unknown; known are kind");
  CHECK(error_of(replaced(good, "{\"kind\":\"real\"}", "\"real\"")) ==
        ":7: field \"source\": expected an object, found \"real\"");
}

TEST_CASE("manifest: errors of a generated image") {
  const std::string good = replaced(
      line("7"), "\"real\"", "\"generated\",\"pair\":\"1\",\"caption\":0,\"generator\":\"g\",\"seed\":1");
  CHECK(error_of(good.substr(0, good.size() - 1)) == "no error");
  CHECK(error_of(replaced(good, "\"pair\":\"1\",", "")) ==
        ":7: field \"source.pair\": expected a non-empty string, found nothing");
  CHECK(error_of(replaced(good, "\"caption\":0", "\"caption\":-1")) ==
        ":7: field \"source.caption\": expected a whole number, zero or more, found -1");
  CHECK(error_of(replaced(good, "\"caption\":0", "\"caption\":1.0")) ==
        ":7: field \"source.caption\": expected a whole number, zero or more, found 1.0");
  CHECK(error_of(replaced(good, "\"seed\":1", "\"guidance\":\"7\"")) ==
        ":7: field \"source.guidance\": expected a number, found \"7\"");
  CHECK(error_of(replaced(good, "\"seed\":1", "\"guidance\":1e999")) ==
        ":7: not valid JSON: a number is out of range");
}

TEST_CASE("manifest: a missing or an empty file") {
  const TemporaryDir dir;
  CHECK_THROWS_WITH(read_manifest(dir / "none.jsonl"),
                    "cannot read " + (dir / "none.jsonl").string() + ": No such file or directory");
  write_without_flush(dir / "empty.jsonl", "");
  CHECK_THROWS_WITH(read_manifest(dir / "empty.jsonl"), (dir / "empty.jsonl").string() + ": no records");
}

TEST_CASE("manifest: no bytes make the reader do anything but return or refuse") {
  const TemporaryDir dir;
  const std::string good = six_lines() + replaced(line("7"), "\"real\"",
                                                  "\"generated\",\"pair\":\"1\",\"caption\":0,\"generator\":"
                                                  "\"g\",\"seed\":1,\"guidance\":2.5,\"steps\":3");
  const int64_t rounds = fuzz_rounds(150),
                refused = count_refused(good, good.size(), rounds, [&](const auto&text) {
                  write_without_flush(dir / "m.jsonl", text);
                  for (const Record& r : read_manifest(dir / "m.jsonl").records)
                    for (const std::string& caption : r.captions)
                      if (find_bad_utf8(caption) != std::string_view::npos) FAIL(caption);
                });
  CHECK(refused > rounds / 3);
}

TEST_CASE("manifest: the first bad line is named, whichever thread finds it") {
  const TemporaryDir dir;
  std::string text;
  for (int i = 1; i <= 3000; ++i)
    text += i == 1500 || i == 2900 ? "{}\n" : line(std::to_string(i == 1400 ? 7 : i));
  const std::string name = (dir / "m.jsonl").string();
  for (int round = 0; round < 3; ++round) {
    write_without_flush(dir / "m.jsonl", text);
    CHECK_THROWS_WITH(read_manifest(dir / "m.jsonl"), name + ":1400: field \"id\": \"7\" is taken by line 7");
    write_without_flush(dir / "m.jsonl", replaced(text, "\"id\":\"7\"", "\"id\":\"70000\""));
    CHECK_THROWS_WITH(read_manifest(dir / "m.jsonl"),
                      name + ":1500: field \"id\": expected a non-empty string, found nothing");
  }
}

TEST_CASE("name set: what was put in, and nothing else") {
  NameSet set;
  CHECK(!set.contains(""));
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 40000; ++i)
      if (set.insert("name " + std::to_string(i)) != (round == 0)) FAIL(i);
  CHECK(set.insert(""));
  CHECK(set.insert(std::string(300000, 'x')));
  CHECK(set.insert("y"));
  CHECK(!set.insert(std::string(300000, 'x')));
  CHECK(set.size() == 40003);
  CHECK(set.contains("name 39999"));
  CHECK(!set.contains("name 40000"));
  CHECK(!set.contains(std::string(299999, 'x')));
}

TEST_CASE("manifest: what cannot be read is not written") {
  const TemporaryDir dir;
  const std::string name = (dir / "m.jsonl").string();
  CHECK_THROWS_WITH(write_manifest(dir / "m.jsonl", std::vector{real("a", 0)}),
                    "[write] " + name +
                        ": record \"a\": field \"captions\": expected a non-empty list of strings, found []");
  Record bad = real("a", 1);
  bad.captions[0] = "caf\xC3";
  CHECK_THROWS_WITH(write_manifest(dir / "m.jsonl", std::vector{bad}),
                    "[write] " + name + ": record \"a\": not valid UTF-8");
  CHECK_THROWS_WITH(write_manifest(dir / "m.jsonl", std::vector{real("a", 1), real("a", 2)}),
                    "[write] " + name + ": the id \"a\" comes twice");
  CHECK(dir.entries() == 0);
}

TEST_CASE("pairs: each generated record and the real one that it names") {
  const Manifest m{"m.jsonl", {real("a", 2), generated("g", "b", 0), real("b", 1), generated("h", "a", 1)}};
  CHECK(pairs(m, m) == std::vector<RecordPair>{{1, 2}, {3, 0}});
  const Manifest d{"d.jsonl", {generated("g", "b", 1)}}, e{"d.jsonl", {generated("g", "z", 0)}},
      f{"d.jsonl", {generated("g", "h", 0)}};
  CHECK_THROWS_WITH(pairs(d, m),
                    "d.jsonl: record \"g\": field \"source.caption\": expected less than 1, the captions of "
                    "\"b\", found 1");
  CHECK_THROWS_WITH(pairs(e, m), "d.jsonl: record \"g\": field \"source.pair\": no record \"z\" in m.jsonl");
  CHECK_THROWS_WITH(pairs(f, m),
                    "d.jsonl: record \"g\": field \"source.pair\": expected a real record, found \"h\", "
                    "which is generated");
}

TEST_CASE("manifest writer: goes on where a kill left it, at every byte") {
  const TemporaryDir dir;
  const std::vector<Record> all = {real("a", 1), generated("b", "a", 0), real("c", 2)};
  write_manifest(dir / "whole.jsonl", all);
  const std::string whole = read_text(dir / "whole.jsonl");
  for (size_t cut = 0; cut <= whole.size(); cut += cut + 3 < whole.size() && cut > 3 ? 3 : 1) {
    write_without_flush(dir / "m.jsonl", whole.substr(0, cut));
    {
      ManifestWriter writer(dir / "m.jsonl");
      const size_t kept = writer.records().size();
      // every line that had its newline is kept, and a last one that lacks nothing else
      CHECK(kept >=
            static_cast<size_t>(std::count(whole.begin(), whole.begin() + static_cast<int64_t>(cut), '\n')));
      for (size_t i = 0; i < all.size(); ++i) {
        CHECK(writer.contains(all[i].id) == (i < kept));
        if (i >= kept) writer.append(all[i]);
      }
      CHECK_THROWS_AS(writer.append(all[0]), Error);
    }
    CHECK(read_text(dir / "m.jsonl") == whole);
  }
}

TEST_CASE("manifest writer: a damaged line before the last is an error, not a repair") {
  const TemporaryDir dir;
  write_without_flush(dir / "m.jsonl", line("1") + "{\"id\"\n" + line("2"));
  CHECK_THROWS_WITH(ManifestWriter(dir / "m.jsonl"),
                    (dir / "m.jsonl").string() + ":2: not valid JSON at column 6");
}

TEST_CASE("manifest writer: a disk that is full leaves the file as it was") {
  const TemporaryDir dir;
  ManifestWriter writer(dir / "m.jsonl");
  writer.append(real("a", 1));
  const std::string before = read_text(dir / "m.jsonl");
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{before.size() + 20, old.rlim_max};  // room for a part of the next line
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  CHECK_THROWS_WITH(writer.append(real("b", 1)),
                    "cannot write " + (dir / "m.jsonl").string() + ": File too large");
  CHECK(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(read_text(dir / "m.jsonl") == before);
  CHECK(!writer.contains("b"));
  writer.append(real("b", 1));
  CHECK(read_manifest(dir / "m.jsonl").size() == 2);
}

// Protects shards: tar archives of Python and GNU tar are read in place and damaged ones refused, samples are
// grouped as webdataset does, an index that is stale is not believed, images and captions come from the
// shards.
#include "catch.h"

#include <set>
#include <sstream>

#include "archive.h"
#include "data/image.h"
#include "data/image_source.h"
#include "data/import_shards.h"
#include "data/packed_cache.h"
#include "fuzz.h"
#include "golden.h"
#include "temporary.h"

using namespace gmail;
using namespace gmail::test;
namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

TarList list_of(const std::string& archive) { return list_tar(std::as_bytes(std::span(archive)), "a.tar"); }

// What reading says; "" if it is accepted.
std::string complaint(const std::string& archive) {
  try {
    (void)list_of(archive);
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

std::string pax(const std::string& record) {
  std::string text = std::to_string(record.size() + 4) + ' ' + record + '\n';  // two digits long
  return tar_member_bytes("pax", text, 'x');
}

std::string png(int64_t size, uint8_t value) {
  const TemporaryDir dir;
  Image image(size, size);
  std::fill(image.rgb.begin(), image.rgb.end(), value);
  write_png(dir / "a.png", image);
  return read_text(dir / "a.png");
}

// A set of two shards with a fault of every kind.
void make_shards(const fs::path& folder) {
  make_dirs(folder);
  const std::string red = png(4, 200), grey = png(6, 90);
  write_without_flush(folder / "00000.tar",
                      make_tar({{"000000000.png", red},
                                {"000000000.txt", " a red cube \n"},
                                {"000000000.json", R"({"caption": "red", "status": "success"})"},
                                {"README", "no dot"},
                                {"000000001.txt", "no image"},
                                {"000000002.png", red},
                                {"000000003.jpg", "GIF89a"},
                                {"000000003.txt", "not an image"},
                                {"same.png", red},
                                {"same.txt", "first"}}));
  write_without_flush(folder / "00001.tar",
                      make_tar({{"./x/000010000.PNG", grey},
                                {"./x/000010000.txt", "grey"},
                                {"./x/000010000.json", R"({"caption": ["g", "h"]})"},
                                {"000010001.png", red},
                                {"000010001.txt", "caf\xE9"},
                                {"000010002.png", red},
                                {"000010002.txt", " \n"},
                                {"same.png", red},
                                {"same.txt", "second"},
                                {"000010003.png", red},
                                {"000010003.json", R"({"status": "failed_to_download"})"}}));
  write_without_flush(folder / "00000.parquet", "x");
  write_without_flush(folder / "00000_stats.json", "{}");
}

}  // namespace

TEST_CASE("tar: archives of Python's tarfile and of GNU tar") {
  int64_t archives = 0;
  for (const auto& entry : fs::directory_iterator(golden_folder("tar"))) {
    fs::path file = entry.path();
    if (file.extension() != ".tar") continue;
    INFO(file.string());
    ++archives;
    const std::string archive = read_text(file);
    const TarList list = list_of(archive);
    std::istringstream expected(read_text(file.replace_extension(".list")));
    std::string line, found;
    for (const TarMember& m : list.members) {
      std::string head;
      for (int64_t i = 0; i < std::min<int64_t>(4, m.size); ++i) {
        const auto c = static_cast<unsigned char>(archive[static_cast<size_t>(m.offset + i)]);
        head += concat("0123456789abcdef"[c / 16], "0123456789abcdef"[c % 16]);
      }
      std::getline(expected, line);
      CHECK(concat(m.offset, ' ', m.size, ' ', head.empty() ? "-" : head, ' ', m.name) == line);
      const auto bytes = tar_member(std::as_bytes(std::span(archive)), m, "a.tar");
      CHECK(std::ssize(bytes) == m.size);
    }
    CHECK_FALSE(std::getline(expected, line));
    CHECK(list.flaw == "");
    CHECK(list.others > 0);
  }
  CHECK(archives == 7);
}

TEST_CASE("tar: long names, base 256, pax sizes, and the order in which they count") {
  const std::string base256 = std::string("\x80", 1) + std::string(10, '\0') + '\3';
  const std::string archive = tar_member_bytes("././@LongLink", std::string("linkname\0", 9), 'K') +
                              tar_member_bytes("././@LongLink", std::string("a.long\0", 7), 'L') +
                              tar_member_bytes("a.lo", "abc", '0', base256) +
                              tar_member_bytes("g", "17 path=all.text\n", 'g') + pax("path=own.txt") +
                              tar_member_bytes("short", "x") + tar_member_bytes("g", "8 path=\n", 'g') +
                              tar_member_bytes("pax", "9 size=2\n13 mtime=1.5\n", 'x') +
                              tar_member_bytes("d.txt", "xy", '7', "00000000777") +
                              tar_member_bytes("folder/", "", '\0') + tar_header("old/", 4096, '5') + kTarEnd;
  const TarList list = list_of(archive);
  Names names;
  for (const TarMember& m : list.members) names.push_back(concat(m.name, ' ', m.size));
  CHECK(names == Names{"a.long 3", "own.txt 1", "d.txt 2"});
  CHECK(list.others == 2);
  CHECK(list.flaw == "");
}

TEST_CASE("tar: what is wrong is said with its place") {
  const std::string good = tar_member_bytes("a.txt", "hello"), sized = good.substr(0, 512);
  CHECK(list_of(good + std::string(512, '\0')).flaw == "one end block instead of two");
  CHECK_THAT(list_of(good).flaw, Contains("no end blocks"));
  CHECK(list_of(good + kTarEnd + good).flaw ==
        "bytes behind the end of the archive, from 2048 on; they are not read");
  CHECK_THAT(list_of(good + std::string(512, '\0') + good).flaw, Contains("a lone block of zeros at 1024"));
  CHECK(list_of(sized + "hello").members.size() == 1);  // the padding of the last member may lack
  CHECK(list_of("").members.empty());

  CHECK(complaint(good + "x") == "a.tar: tar header at 1024: expected a header of 512 bytes, found 1");
  CHECK(complaint(sized + "hell") ==
        "a.tar: tar header at 0: \"a.txt\" has 5 bytes, but only 4 are left in the file: it is cut short");
  std::string bad = good;
  bad[0] = 'b';
  CHECK_THAT(complaint(bad), Contains("tar header at 0: the checksum differs"));
  CHECK_THAT(complaint(std::string(1024, 'x')), Contains("the checksum differs"));
  CHECK_THAT(complaint(tar_member_bytes("a", "", '0', "0000000000x")),
             Contains("field size: expected a number"));
  CHECK_THAT(complaint(tar_member_bytes("a", "", '0', std::string(12, '\xFF'))), Contains("field size"));
  CHECK_THAT(complaint(tar_member_bytes("a", "", '0', "\x80" + std::string(11, '\x7F'))),
             Contains("field size"));
  CHECK_THAT(complaint(tar_member_bytes("a", "", '0', "77777777777")),
             Contains("8589934591 bytes, but only 0"));
  CHECK_THAT(complaint(tar_member_bytes("a", "", 'S')), Contains("a sparse file 'S' (83)"));
  CHECK_THAT(complaint(tar_member_bytes("a", "", 'M')), Contains("another volume"));
  CHECK_THAT(complaint(tar_member_bytes("a", "", '9')), Contains("a type that is not read"));
  CHECK_THAT(complaint(tar_member_bytes("a", "x", '1')), Contains("a link or device, has 1 bytes"));
  CHECK_THAT(complaint(tar_member_bytes("", "x")), Contains("a member without a name"));
  CHECK_THAT(complaint(tar_member_bytes("L", "name", 'L') + kTarEnd), Contains("expected the member"));
  CHECK_THAT(complaint(tar_member_bytes("L", "name", 'L')), Contains("expected the member"));
  CHECK_THAT(complaint(tar_header("L", int64_t{1} << 30, 'L')), Contains("at most 1048576 are read"));
  for (const char* text :
       {"9 path=a", "12 path=ab\n", "5 a=b\n", "x", "999999999999999999999 a=b\n", "7 patha\n", "3 \n"})
    CHECK_THAT(complaint(tar_member_bytes("p", text, 'x') + good), Contains("extended header: expected"));
  CHECK_THAT(complaint(pax("GNU.sparse.major=1") + good), Contains("a sparse file"));
  CHECK_THAT(complaint(pax("size=-1234") + good), Contains("size: expected a number from 0 to 2^63 - 1"));
  CHECK_THAT(complaint(pax("size=99999999999999999999") + good), Contains("size: expected"));
  CHECK_THAT(complaint(pax("size=9223372036854775807") + good), Contains("it is cut short"));
}

TEST_CASE("shards: samples are grouped as webdataset does") {
  const auto grouped = [](const Names& names) {
    std::vector<TarMember> members;
    for (const std::string& name : names) members.push_back({name, 512 * std::ssize(members), 1});
    return group_samples(members, "a.tar");
  };
  const Samples got = grouped({"a.b/001.seg.PNG", "a.b/001.txt", "__meta__", "__key__.json", "001.txt",
                               "README", "./d/.x.txt", "./002.txt", "002.jpg", "001.jpg"});
  Names keys;
  for (const Sample& s : got.samples) {
    keys.push_back(s.key);
    for (const Sample::File& f : s.files) keys.back() += " " + f.suffix;
  }
  CHECK(keys == Names{"a.b/001 seg.png txt", "__key__ json", "001 txt", "002 txt jpg", "001 jpg"});
  CHECK(got.without_key == Names{"README", "./d/.x.txt"});
  CHECK_THROWS_WITH(grouped({"x.jpg", "x.txt", "x.JPG"}),
                    "a.tar: sample \"x\": \".jpg\" at 0 and again at 1024");
}

TEST_CASE("shards: an index is believed as long as the shards are what they were") {
  const TemporaryDir dir;
  make_shards(dir.path());
  const std::vector<fs::path> files = {dir / "00000.tar", dir / "00001.tar"};
  const ShardList first = list_shards(files);
  CHECK(first.from_index == 0);
  const ShardList second = list_shards(files);
  CHECK(second.from_index == 2);
  for (size_t i = 0; i < 2; ++i) CHECK(second.shards[i].list.members == first.shards[i].list.members);

  // one shard is another: only that one is read again
  write_without_flush(files[1], make_tar({{"new.png", "x"}, {"new.txt", "y"}}));
  const ShardList third = list_shards(files);
  CHECK(third.from_index == 1);
  CHECK(third.shards[1].list.members.size() == 2);
  CHECK(list_shards(files).from_index == 2);
  fs::last_write_time(files[0], fs::last_write_time(files[0]) + std::chrono::seconds(1));
  CHECK(list_shards(files).from_index == 1);

  const std::string index = read_text(dir / kShardIndex);
  const auto parsed = parse_index(index);
  REQUIRE(parsed->size() == 2);
  CHECK(format_index({&(*parsed)[0], &(*parsed)[1]}) == index);
  write_without_flush(dir / kShardIndex, index.substr(0, index.size() - 3));
  const ShardList again = list_shards(files);
  CHECK(again.from_index == 0);
  REQUIRE(again.notes.size() == 1);
  CHECK_THAT(again.notes[0], Contains("a damaged index; made again"));
  CHECK(read_text(dir / kShardIndex) == index);
  write_without_flush(dir / kShardIndex, "my notes");
  CHECK_THROWS_WITH(list_shards(files), Contains("not an index of shards"));
  CHECK(read_text(dir / kShardIndex) == "my notes");
  fs::remove(dir / kShardIndex);
  make_dirs(dir / kShardIndex / "in the way");
  CHECK_THROWS_AS(list_shards(files), InputError);
}

TEST_CASE("import shards: records, and what cannot be used by reason") {
  const TemporaryDir dir;
  make_shards(dir / "set");
  std::vector<std::string> notes;
  const Imported got =
      import_shards({(dir / "set").string()}, CaptionSource::parse("txt"), "train", dir / "out", notes);
  CHECK(notes.empty());
  Names ids;
  for (const Record& r : got.records) ids.push_back(r.id + ": " + r.captions.front());
  CHECK(ids ==
        Names{"000000000: a red cube", "00000/same: first", "x/000010000: grey", "00001/same: second"});
  CHECK(got.records[0].image == "../set/00000.tar#000000000.png@512+" + std::to_string(png(4, 200).size()));
  const std::string zero = (dir / "set/00000.tar").string() + "#",
                    one = (dir / "set/00001.tar").string() + "#";
  CHECK(got.report() == concat("4 records; skipped: 1 members without a key (", zero, "README), ",
                               "1 samples whose .txt is not UTF-8 (", one, "000010001), ",
                               "1 samples whose image is neither JPEG nor PNG (", zero, "000000003), ",
                               "1 samples with an empty caption (", one, "000010002), ",
                               "1 samples without a .jpg, .jpeg or .png (", zero, "000000001), ",
                               "2 samples without a .txt (first ", zero, "000000002), ",
                               "2 tables beside the shards (first 00000.parquet)"));
  make_dirs(dir / "out");
  got.write(dir / "out/manifest.jsonl");
  const Manifest m = read_manifest(dir / "out/manifest.jsonl");
  CHECK(m.records == got.records);
  CHECK(read_image(m.image_path(2)).rgb == std::vector<uint8_t>(6 * 6 * 3, 90));
  CHECK(read_image(dir / "set/00001.tar#./x/000010000.PNG").width == 6);

  const Imported json =
      import_shards({(dir / "set").string()}, CaptionSource::parse("json:caption"), "val", dir.path(), notes);
  REQUIRE(json.records.size() == 2);
  CHECK(json.records[0].captions == Names{"red"});
  CHECK(json.records[1].captions == Names{"g", "h"});
  CHECK_THAT(json.report(), Contains("1 samples whose download failed (" + one + "000010003)"));

  CHECK_THROWS_WITH(CaptionSource::parse("json:"), "--caption: expected txt or json:FIELD, found \"json:\"");
  make_dirs(dir / "none");
  CHECK_THROWS_WITH(import_shards({(dir / "none").string()}, {}, "x", dir.path(), notes),
                    Contains("no file *.tar"));
  CHECK_THROWS_WITH(import_shards({zero.substr(0, zero.size() - 1), zero.substr(0, zero.size() - 1)}, {}, "x",
                                  dir.path(), notes),
                    Contains("is given twice"));
  CHECK_THROWS_WITH(import_shards({(dir / "a.zip").string()}, {}, "x", dir.path(), notes),
                    Contains("expected a file *.tar"));
}

TEST_CASE("shards: an image in a shard that has changed is not taken for another") {
  const TemporaryDir dir;
  make_shards(dir.path());
  const std::string size = std::to_string(png(4, 200).size()), shard = (dir / "00000.tar").string();
  CHECK(read_image(shard + "#000000000.png@512+" + size).width == 4);
  CHECK_THROWS_WITH(read_image(shard + "#000000000.png@1024+" + size), Contains("no member begins there"));
  CHECK_THROWS_WITH(read_image(shard + "#000000009.png@512+" + size), Contains("another member is there"));
  CHECK_THROWS_WITH(read_image(shard + "#000000000.png@512+17"), Contains("another member is there"));
  CHECK_THROWS_WITH(read_image(shard + "#000000000.png@0+17"), Contains("not inside the archive"));
  CHECK_THROWS_WITH(read_image(shard + "#000000000.png@9223372036854775296+512"), Contains("not inside"));
  CHECK_THROWS_WITH(read_image(shard + "#gone.png"), shard + ": no member \"gone.png\" among 10");
  CHECK_THROWS_WITH(read_image(shard + "#a@512+x"), Contains("no member \"a@512+x\""));
  CHECK_THROWS_WITH(read_image(dir / "no.tar#a.png"),
                    Contains("cannot read " + (dir / "no.tar").string() + ":"));

  // a cache of the images goes with the shard's time
  const Manifest m{dir / "m.jsonl",
                   {{"a", "00000.tar#000000000.png@512+" + size, {"x"}, "s", std::nullopt, {}}}};
  const StoreOptions options{.preprocess = Preprocess::square(4), .cache = dir / "cache", .progress = {}};
  CHECK(ImageStore(m, options).pixels(0)[0] == 200);
  CHECK(ImageStore(m, options).from_cache());
  fs::last_write_time(dir / "00000.tar", fs::last_write_time(dir / "00000.tar") + std::chrono::seconds(1));
  CHECK_FALSE(ImageStore(m, options).from_cache());
}

TEST_CASE("shards: mutated archives and indexes are read or refused, never worse") {
  const int64_t rounds = fuzz_rounds(1000);
  const fs::path golden = golden_folder("tar");
  int64_t refused = 0, samples = 0;
  Rng rng(2, Purpose::test);
  for (const char* name : {"gnu_gnu.tar", "python_pax.tar"}) {
    const std::string good = read_text(golden / name);
    for (int64_t i = 0; i < rounds / 2; ++i) {
      std::string bytes = mutated(good, good.size(), rng, "01234567 =\n\\0xgLK5");
      // make some checksums right again, so that what is behind them is reached
      for (size_t at = 0; at + 512 <= bytes.size() && i % 4 != 0; at += 512) {
        if (bytes.compare(at + 257, 5, "ustar") != 0) continue;
        int64_t sum = 8 * ' ';
        for (size_t k = 0; k < 512; ++k)
          sum += k >= 148 && k < 156 ? 0 : static_cast<unsigned char>(bytes[at + k]);
        for (size_t k = 6; k-- > 0; sum /= 8) bytes[at + 148 + k] = static_cast<char>('0' + sum % 8);
      }
      try {
        const TarList list = list_of(bytes);
        for (const TarMember& m : list.members)
          (void)tar_member(std::as_bytes(std::span(bytes)), m, "a.tar").size();
        samples += std::ssize(group_samples(list.members, "a.tar").samples);
      } catch (const InputError&) {
        ++refused;
      }
    }
  }
  CHECK(refused > rounds / 20);
  CHECK(samples > 0);
  const TemporaryDir dir;
  make_shards(dir.path());
  (void)list_shards({dir / "00000.tar", dir / "00001.tar"});
  const std::string index = read_text(dir / kShardIndex);
  int64_t damaged = 0;
  for (int64_t i = 0; i < rounds; ++i)
    damaged += parse_index(mutated(index, index.size(), rng, "0123456789- \n")) ? 0 : 1;
  CHECK(damaged > rounds / 3);
  if (std::getenv("GMAIL_FUZZ") != nullptr)
    WARN(rounds << " archives, " << refused << " refused; " << rounds << " indexes, " << damaged
                << " refused");
}

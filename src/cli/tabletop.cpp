// gmail tabletop: renders the built-in world.
#include <charconv>
#include <iostream>

#include "cli/commands.h"
#include "data/tabletop.h"
#include "train/progress.h"

namespace gmail::cli {
namespace {

struct Options {
  std::string out, look = "photo", split = "train", splits;
  int64_t count = 1000, size = 32, first = 0;
  int min_solids = 1, max_solids = 3;
  bool quiet = false;
};

void setup(Command& c, Options& o) {
  c.option("out", o.out, "folder for images/ and manifest.jsonl")->required();
  c.option("count", o.count, "pictures");
  c.option("size", o.size, "32 | 64: pixels of a side")->one_of({"32", "64"});
  c.option("look", o.look, "photo | studio: of which camera")->one_of({"photo", "studio"});
  c.option("min-solids", o.min_solids, "fewest solids of a scene");
  c.option("max-solids", o.max_solids, "most solids of a scene, at most 3");
  c.option("split", o.split, "split of all pictures");
  c.option("splits", o.splits, "instead of --count and --split: train=6000,test=1000");
  c.option("first", o.first, "index of the first scene: worlds of one seed that do not overlap share none");
  c.flag("quiet", o.quiet, "no progress");
}

// "train=6000,test=1000"
std::vector<TabletopSplit> parse_splits(const std::string& text) {
  std::vector<TabletopSplit> splits;
  for (const std::string& part : comma_parts(text)) {
    const std::string name = part.substr(0, part.find('='));
    int64_t count = 0;
    const char *number = part.data() + name.size() + 1, *stop = part.data() + part.size();
    const bool has_number = name.size() + 1 < part.size();
    const bool good =
        has_number && std::from_chars(number, stop, count).ptr == stop && count >= 1 && !name.empty();
    GMAIL_INPUT(good, "--splits: expected NAME=COUNT,NAME=COUNT, found \"", part, "\"");
    for (const TabletopSplit& other : splits)
      GMAIL_INPUT(other.name != name, "--splits: \"", name, "\" is given twice");
    splits.push_back({name, count});
  }
  return splits;
}

void run(Command& c, Options& o) {
  GMAIL_INPUT(o.count >= 1, "--count: expected at least 1, found ", o.count);
  GMAIL_INPUT(o.first >= 0, "--first: expected 0 or more, found ", o.first);
  GMAIL_INPUT(o.min_solids >= 1 && o.min_solids <= o.max_solids && o.max_solids <= 3,
              "--min-solids, --max-solids: expected 1 <= min <= max <= 3, found ", o.min_solids, " and ",
              o.max_solids);
  GMAIL_INPUT(!o.split.empty(), "--split: expected a name");
  const std::vector<TabletopSplit> splits =
      o.splits.empty() ? std::vector<TabletopSplit>{{o.split, o.count}} : parse_splits(o.splits);
  TabletopOptions t;
  t.count = 0;
  for (const TabletopSplit& split : splits) t.count += split.count;
  t.size = o.size;
  t.seed = c.common().seed;
  t.look = o.look == "photo" ? Look::photo : Look::studio;
  t.min_solids = o.min_solids;
  t.max_solids = o.max_solids;
  t.first = o.first;
  Progress progress("render", t.count, 0, o.quiet);
  write_tabletop(o.out, t, splits, [&](int64_t done) { progress.update(done, "", done, "images"); });
  std::cout << "tabletop: " << t.count << " pictures, " << o.out << "/manifest.jsonl\n";
}

}  // namespace

void add_tabletop(Program& program) {
  program.add<Options>(program.app, "tabletop", "render the built-in world: pictures, captions, manifest",
                       setup, run);
}

}  // namespace gmail::cli

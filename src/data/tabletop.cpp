#include "data/tabletop.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/file.h"
#include "core/parallel_for.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string image_name(int64_t index) {
  std::array<char, 48> name{};
  (void)std::snprintf(name.data(), name.size(), "images/%06lld.png", static_cast<long long>(index));
  return name.data();
}

std::string describe(const TabletopOptions& options, const std::vector<TabletopSplit>& splits) {
  Json names = Json::object();
  for (const TabletopSplit& split : splits) names[split.name] = split.count;
  return Json{{"world", "tabletop"},
              {"look", name_of(options.look)},
              {"seed", options.seed},
              {"size", options.size},
              {"first", options.first},
              {"min_solids", options.min_solids},
              {"max_solids", options.max_solids},
              {"splits", names}}
             .dump() +
         "\n";
}

// A folder may be begun, or continued with the very options it was begun with.
void claim_folder(const fs::path& dir, const std::string& description) {
  std::error_code error;
  fs::create_directories(dir / "images", error);
  GMAIL_CHECK(!error, (dir / "images").string(), ": cannot create: ", error.message());
  const fs::path file = dir / "tabletop.json", manifest = dir / "manifest.jsonl";
  if (!fs::exists(file)) {
    GMAIL_INPUT(!fs::exists(manifest), manifest.string(), ": exists already; choose another folder");
    write_file(file, description);
    return;
  }
  const std::vector<unsigned char> bytes = read_file(file);
  const std::string found(bytes.begin(), bytes.end());
  GMAIL_INPUT(found == description, file.string(), ": the folder holds another world\n  expected ",
              description, "  found    ", found);
}

Json record_of(const Scene& scene, const TabletopOptions& options, const std::string& split) {
  Json record{{"id", concat(name_of(options.look), "-", options.seed, "-", scene.index)},
              {"image", image_name(scene.index)},
              {"captions", captions_of(scene)},
              {"split", split}};
  if (const std::string label = label_of(scene); !label.empty()) record["label"] = label;
  record["source"] = Json{{"kind", "real"}};
  return record;
}

}  // namespace

void write_tabletop(const fs::path& dir, const TabletopOptions& options,
                    const std::vector<TabletopSplit>& splits,
                    const std::function<void(int64_t done)>& progress) {
  int64_t total = 0;
  for (const TabletopSplit& split : splits) total += split.count;
  GMAIL_INPUT(total == options.count, "[tabletop] ", options.count, " pictures, but the splits have ", total);
  claim_folder(dir, describe(options, splits));
  constexpr int64_t kBatch = 512;  // pictures between two reports
  for (int64_t done = 0; done < total; done += kBatch) {
    parallel_for(std::min(kBatch, total - done), 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t index = options.first + done + i;
        const fs::path file = dir / image_name(index);
        if (!fs::exists(file)) write_png(file, render_tabletop(options, index));
      }
    });
    if (progress) progress(std::min(total, done + kBatch));
  }
  std::string manifest;
  int64_t index = options.first;
  for (const TabletopSplit& split : splits)
    for (int64_t i = 0; i < split.count; ++i, ++index)
      manifest += record_of(make_scene(options, index), options, split.name).dump() + "\n";
  write_file(dir / "manifest.jsonl", manifest);
}

}  // namespace gmail

#include "data/tabletop.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/parallel_for.h"
#include "data/manifest.h"
#include "io/files.h"

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
  make_dirs(dir / "images");
  const fs::path file = dir / "tabletop.json", manifest = dir / "manifest.jsonl";
  if (!fs::exists(file)) {
    GMAIL_INPUT(!fs::exists(manifest), manifest.string(), ": exists already; choose another folder");
    write_atomically(file, description);
    return;
  }
  const std::string found = read_text(file);
  GMAIL_INPUT(found == description, file.string(), ": the folder holds another world\n  expected ",
              description, "  found    ", found);
}

Record record_of(const Scene& scene, const TabletopOptions& options, const std::string& split) {
  Record record;
  record.id = concat(name_of(options.look), "-", options.seed, "-", scene.index);
  record.image = image_name(scene.index);
  record.captions = captions_of(scene);
  record.split = split;
  if (const std::string label = label_of(scene); !label.empty()) record.label = label;
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
  std::vector<Record> records;
  for (const TabletopSplit& split : splits)
    for (int64_t i = 0; i < split.count; ++i)
      records.push_back(
          record_of(make_scene(options, options.first + std::ssize(records)), options, split.name));
  write_manifest(dir / "manifest.jsonl", records);
}

}  // namespace gmail

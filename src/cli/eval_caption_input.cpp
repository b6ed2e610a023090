#include "cli/eval_caption_input.h"

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/check.h"
#include "data/manifest.h"
#include "io/files.h"
#include "io/json.h"
#include "io/lines.h"

namespace gmail::cli {
namespace {

namespace fs = std::filesystem;

std::string normal(const fs::path& path) { return fs::absolute(path).lexically_normal().string(); }

// Finds the record that a line speaks of.
class RecordFinder {
 public:
  explicit RecordFinder(const Manifest& manifest) : file_(manifest.file) {
    for (int64_t i = 0; i < manifest.size(); ++i) {
      by_id_.emplace(manifest[i].id, i);
      by_image_.emplace(manifest[i].image, i);
      by_path_.emplace(normal(manifest.image_path(i)), i);
    }
  }
  [[nodiscard]] int64_t find(Fields& fields) const {
    const bool has_id = fields.has("id"), has_image = fields.has("image");
    if (!has_id && !has_image) fields.wrong("id", "the id of a record, or \"image\"");
    const std::string id = has_id ? fields.text("id") : "", image = has_image ? fields.text("image") : "";
    if (has_id) {
      const auto at = by_id_.find(id);
      if (at == by_id_.end()) fields.wrong("id", "a record of " + file_.string());
      return at->second;
    }
    if (const auto at = by_image_.find(image); at != by_image_.end()) return at->second;
    const auto at = by_path_.find(normal(image));
    if (at == by_path_.end()) fields.wrong("image", "an image of " + file_.string());
    return at->second;
  }

 private:
  fs::path file_;
  std::unordered_map<std::string, int64_t> by_id_, by_image_, by_path_;
};

struct Line {
  std::string caption;
  int64_t number;
};

// by record
std::unordered_map<int64_t, Line> read_captions(const Manifest& manifest, const std::string& file) {
  const RecordFinder finder(manifest);
  const std::string all = read_text(file);
  std::unordered_map<int64_t, Line> lines;
  for_each_line(all, [&](std::string_view text, int64_t number) {
    const Json json = parse_json(text, file, number);
    Fields fields(json, concat(file, ":", number));
    const int64_t record = finder.find(fields);
    // an empty caption is a poor one, but it is one
    if (!fields.has("caption") || !json["caption"].is_string()) fields.wrong("caption", "a string");
    (void)fields.has("tokens");
    (void)fields.has("logprob");
    fields.finish();
    const auto [at, fresh] = lines.emplace(record, Line{json["caption"].get<std::string>(), number});
    GMAIL_INPUT(fresh, file, ":", number, ": record \"", manifest[record].id, "\" has a caption in line ",
                at->second.number);
  });
  return lines;
}

}  // namespace

CaptionSet read_manifest_captions(const std::string& manifest_file, const std::string& split,
                                  const std::string& captions) {
  const Manifest manifest = read_manifest(manifest_file);
  auto lines = read_captions(manifest, captions);
  CaptionSet set;
  set.results = std::ssize(lines);
  for (int64_t i = 0; i < manifest.size(); ++i) {
    const Record& r = manifest[i];
    if (!split.empty() && r.split != split) continue;
    const auto line = lines.find(i);
    GMAIL_INPUT(line != lines.end(), captions, ": no caption for record \"", r.id, "\" of ",
                manifest.file.string());
    set.images.push_back(
        {r.id, manifest.image_path(i).string(), std::move(line->second.caption), r.captions});
  }
  GMAIL_INPUT(!set.images.empty(), manifest.file.string(), ": no record",
              split.empty() ? "" : " of split \"" + split + "\"");
  return set;
}

}  // namespace gmail::cli

#include "cli/eval_captions.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/check.h"
#include "data/words.h"
#include "eval/caption_metrics.h"
#include "io/files.h"
#include "io/json.h"

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
  std::string_view rest = all;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const std::string_view text = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
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
  }
  return lines;
}

Words words_of(const std::string& caption) { return caption_words(clean_text(caption)); }

}  // namespace

nlohmann::ordered_json score_captions(const Manifest& manifest, const std::string& split,
                                      const std::string& file) {
  const auto lines = read_captions(manifest, file);
  std::vector<CaptionedImage> images;
  for (int64_t i = 0; i < manifest.size(); ++i) {
    const Record& r = manifest[i];
    if (!split.empty() && r.split != split) continue;
    const auto line = lines.find(i);
    GMAIL_INPUT(line != lines.end(), file, ": no caption for record \"", r.id, "\" of ",
                manifest.file.string());
    CaptionedImage image{words_of(line->second.caption), {}};
    for (const std::string& reference : r.captions) image.references.push_back(words_of(reference));
    images.push_back(std::move(image));
  }
  GMAIL_INPUT(!images.empty(), manifest.file.string(), ": no record",
              split.empty() ? "" : " of split \"" + split + "\"");
  const Bleu b = bleu(images);
  return {{"tokens", "words"},
          {"bleu1", 100 * b.score[0]},
          {"bleu2", 100 * b.score[1]},
          {"bleu3", 100 * b.score[2]},
          {"bleu4", 100 * b.score[3]},
          {"rouge_l", 100 * rouge_l(images).mean},
          {"cider_d", cider_d(images).mean},
          {"cider", cider(images).mean},
          {"images", std::ssize(images)}};
}

}  // namespace gmail::cli

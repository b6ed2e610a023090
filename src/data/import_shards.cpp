#include "data/import_shards.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/check.h"
#include "core/parallel_for.h"
#include "data/image_source.h"
#include "io/json.h"
#include "io/utf8.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

using Bytes = std::span<const std::byte>;

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string read_field(const std::string& field, std::string_view text, std::vector<std::string>& captions) {
  Json json;
  try {
    json = parse_json(text, "");
  } catch (const InputError&) {
    return "samples whose .json is damaged";
  }
  if (!json.is_object()) return "samples whose .json is no object";
  if (const auto status = json.find("status"); status != json.end() && *status != "success")
    return "samples whose download failed";
  const auto value = json.find(field);
  const bool one = value != json.end() && value->is_string();
  const bool list = value != json.end() && value->is_array() &&
                    std::all_of(value->begin(), value->end(), [](const Json& v) { return v.is_string(); });
  if (!one && !list) return "samples whose .json has no text in \"" + field + "\"";
  captions = one ? std::vector{value->get<std::string>()} : value->get<std::vector<std::string>>();
  return "";
}

// One shard's samples; a reason why one cannot be used is thrown past the rest of its work.
class ShardReader {
 public:
  ShardReader(const Shard& shard, const std::optional<CaptionSource>& caption, const fs::path& folder)
      : name_(shard.file.string()),
        shown_(relative_path(shard.file, folder)),
        file_(shard.file),
        caption_(caption) {
    const Samples samples = group_samples(shard.list.members, name_);
    for (const std::string& name : samples.without_key) skipped.skip("members without a key", place(name));
    for (const Sample& s : samples.samples) {
      ShardImage out{s.key, "", {}};
      const std::string reason = read(s, out);
      if (reason.empty())
        images.push_back(std::move(out));
      else
        skipped.skip(reason, place(replace_bad_utf8(s.key)));
    }
  }

  std::vector<ShardImage> images;
  Imported skipped;

 private:
  [[nodiscard]] std::string place(const std::string& member) const { return name_ + "#" + member; }

  // "" if the sample is good
  std::string read(const Sample& s, ShardImage& out) const {
    const TarMember* image = nullptr;
    for (const char* suffix : {"jpg", "jpeg", "png"}) {
      const TarMember* const found = s.find(suffix);
      if (found && image) return "samples with two images";
      if (found) image = found;
    }
    if (!image) return "samples without a .jpg, .jpeg or .png";
    if (find_bad_utf8(image->name) != std::string_view::npos) return "samples whose name is not UTF-8";
    if (!is_image(text_of(tar_member(file_.bytes(), *image, name_))))
      return "samples whose image is neither JPEG nor PNG";
    out.image = shard_path(shown_, *image);
    return caption_ ? read_text_of(s, out.captions) : "";
  }

  static bool is_image(std::string_view bytes) {
    return bytes.starts_with("\xFF\xD8") || bytes.starts_with("\x89PNG\r\n\x1A\n");
  }

  std::string read_text_of(const Sample& s, std::vector<std::string>& captions) const {
    const TarMember* const member = s.find(caption_->suffix);
    if (!member) return "samples without a ." + caption_->suffix;
    return read_captions(*caption_, text_of(tar_member(file_.bytes(), *member, name_)), captions);
  }

  std::string name_, shown_;
  MappedFile file_;
  const std::optional<CaptionSource>& caption_;
};

// Keys that occur once stay; the others are told apart by their shards.
void tell_apart(std::vector<std::vector<ShardImage>>& images, const std::vector<Shard>& shards) {
  std::unordered_map<std::string_view, int64_t> count;
  for (const auto& part : images)
    for (const ShardImage& image : part) ++count[image.key];
  std::vector<std::pair<std::string*, std::string>> longer;
  for (size_t i = 0; i < shards.size(); ++i)
    for (ShardImage& image : images[i])
      if (count[image.key] > 1)
        longer.emplace_back(&image.key, shards[i].file.stem().string() + "/" + image.key);
  for (auto& [key, value] : longer) *key = std::move(value);
}

}  // namespace

CaptionSource CaptionSource::parse(const std::string& text) {
  const bool field = text.starts_with("json:");
  const bool good = field ? text.size() > 5 : !text.empty() && text.find_first_of(":/") == std::string::npos;
  GMAIL_INPUT(good, "--caption: expected txt or json:FIELD, found \"", text, "\"");
  return field ? CaptionSource{"json", text.substr(5)} : CaptionSource{text, ""};
}

std::string read_captions(const CaptionSource& source, std::string_view text,
                          std::vector<std::string>& captions) {
  if (find_bad_utf8(text) != std::string_view::npos)
    return "samples whose ." + source.suffix + " is not UTF-8";
  captions = {std::string(text)};
  if (!source.field.empty())
    if (std::string reason = read_field(source.field, text, captions); !reason.empty()) return reason;
  for (std::string& caption : captions) caption = std::string(trimmed(caption));
  std::erase(captions, "");
  return captions.empty() ? "samples with an empty caption" : "";
}

std::vector<fs::path> find_shards(const std::vector<std::string>& given, Imported& out) {
  std::vector<fs::path> shards;
  for (const std::string& name : given) {
    if (!fs::is_directory(name)) {
      shards.emplace_back(name);
      continue;
    }
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(name)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    const size_t before = shards.size();
    for (const fs::path& file : files) {
      const std::string base = file.filename().string();
      if (base.ends_with(".tar"))
        shards.push_back(file);
      else if (base.ends_with(".parquet") || base.ends_with("_stats.json"))
        out.skip("tables beside the shards", base);
      else if (base != kShardIndex)
        out.skip("other files beside the shards", base);
    }
    GMAIL_INPUT(shards.size() > before, name, ": no file *.tar in this folder");
  }
  for (const fs::path& shard : shards)
    GMAIL_INPUT(shard.filename().string().ends_with(".tar"), shard.string(),
                ": expected a file *.tar or a folder of them");
  std::vector<fs::path> sorted = shards;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  GMAIL_INPUT(twice == sorted.end(), twice->string(), ": this shard is given twice");
  return shards;
}

std::vector<ShardImage> shard_images(const std::vector<Shard>& shards,
                                     const std::optional<CaptionSource>& caption, const fs::path& folder,
                                     Imported& out) {
  std::vector<std::vector<ShardImage>> parts(shards.size());
  std::vector<Imported> skipped(shards.size());
  parallel_for(std::ssize(shards), 1, [&](int64_t i, int64_t) {
    ShardReader reader(shards[static_cast<size_t>(i)], caption, folder);
    parts[static_cast<size_t>(i)] = std::move(reader.images);
    skipped[static_cast<size_t>(i)] = std::move(reader.skipped);
  });
  tell_apart(parts, shards);
  std::vector<ShardImage> images;
  for (size_t i = 0; i < parts.size(); ++i) {
    out.add_skipped(skipped[i]);
    std::move(parts[i].begin(), parts[i].end(), std::back_inserter(images));
    parts[i] = {};
  }
  return images;
}

Imported import_shards(const std::vector<std::string>& given, const CaptionSource& caption,
                       const std::string& split, const fs::path& folder, std::vector<std::string>& notes) {
  Imported out;
  ShardList list = list_shards(find_shards(given, out));
  notes = std::move(list.notes);
  std::unordered_map<std::string_view, bool> taken;
  std::vector<ShardImage> images = shard_images(list.shards, caption, folder, out);
  out.records.reserve(images.size());
  taken.reserve(images.size());
  for (ShardImage& image : images) {
    if (!taken.emplace(image.key, true).second) {  // twice in one shard, or shards of one name
      out.skip("samples whose key comes again", image.image);
      continue;
    }
    out.records.push_back(
        {image.key, std::move(image.image), std::move(image.captions), split, std::nullopt, {}});
  }
  return out;
}

}  // namespace gmail

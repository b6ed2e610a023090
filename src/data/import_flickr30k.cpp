#include "data/import_flickr30k.h"

#include <cstdint>
#include <unordered_map>

#include "core/check.h"
#include "data/image_folder.h"
#include "data/import_karpathy.h"
#include "io/input_file.h"
#include "io/utf8.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

struct Row {
  std::string_view name, number, caption;  // no number in the text form
};

// "NAME.jpg#3<TAB>CAPTION"
bool split_token(std::string_view line, Row& row) {
  const size_t tab = line.find('\t'), hash = line.substr(0, tab).rfind('#');
  if (tab == std::string_view::npos || hash == std::string_view::npos || hash == 0) return false;
  row = {line.substr(0, hash), line.substr(hash + 1, tab - hash - 1), trimmed(line.substr(tab + 1))};
  return !row.number.empty() && row.number.find_first_not_of("0123456789") == std::string_view::npos;
}

// "NAME.jpg,CAPTION"
bool split_text(std::string_view line, Row& row) {
  constexpr std::string_view kMark = ".jpg,";
  const size_t mark = line.find(kMark);
  if (mark == std::string_view::npos || mark == 0) return false;
  row = {line.substr(0, mark + kMark.size() - 1), "", trimmed(line.substr(mark + kMark.size()))};
  return true;
}

// Calls body(row) for each line.
template <class F>
void for_each_row(const fs::path& path, const F& body) {
  LineFile file(path);
  std::string_view line;
  bool tokens = true;
  while (file.next(line)) {
    Row row;
    if (file.number() == 1) {
      tokens = split_token(line, row);
      if (!tokens && !split_text(line, row)) continue;  // a header
    }
    if (trimmed(line).empty()) continue;
    const std::string where = concat(path.string(), ":", file.number());
    const size_t bad = find_bad_utf8(line);
    GMAIL_INPUT(bad == std::string_view::npos, where, ": not valid UTF-8 at column ", bad + 1);
    const bool good = tokens ? split_token(line, row) : split_text(line, row);
    GMAIL_INPUT(good && stays_inside(row.name), where, ": expected an image's name",
                tokens ? ", # and a number, a tab and a caption" : " with .jpg, a comma and a caption",
                ", found \"", line.substr(0, 60), "\"");
    body(row);
  }
}

}  // namespace

Skips import_flickr30k(const Flickr30kFiles& files, const fs::path& folder, const AddRecord& add) {
  ImageFolder images(files.images, folder);
  std::unordered_map<std::string, std::string> splits;
  if (!files.karpathy.empty())
    for_each_karpathy(files.karpathy, [&](KarpathyImage& image) { splits[image.filename] = image.split; });
  Skips skips;
  NameSet numbered;
  std::vector<Record> records;
  std::unordered_map<std::string, size_t> index;  // by name; SIZE_MAX if it is not there
  for_each_row(files.captions, [&](const Row& row) {
    const std::string name(row.name);
    const auto [at, fresh] = index.emplace(name, SIZE_MAX);
    if (fresh && images.contains(name)) {
      at->second = records.size();
      const auto split = splits.find(name);
      records.push_back({fs::path(name).stem().string(), images.in_manifest(name), {}, files.split, {}, {}});
      if (!files.karpathy.empty()) records.back().split = split == splits.end() ? "none" : split->second;
    } else if (fresh) {
      skips.skip("images that are not there", name);
    }
    if (at->second == SIZE_MAX) return;
    if (!row.number.empty() && !numbered.insert(concat(name, "#", row.number)))
      return skips.skip("captions that came before", concat(name, "#", row.number));
    if (row.caption.empty()) return skips.skip("empty captions", "of " + name);
    records[at->second].captions.emplace_back(row.caption);
  });
  for (const Record& r : records) {
    if (r.captions.empty())
      skips.skip("images without captions", r.image);
    else if (!add(r))
      skips.skip("images whose id came before", r.image);
  }
  return skips;
}

}  // namespace gmail

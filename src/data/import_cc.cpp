#include "data/import_cc.h"

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "data/image_folder.h"
#include "io/input_file.h"
#include "io/utf8.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

bool is_address(std::string_view text) { return text.starts_with("http://") || text.starts_with("https://"); }

std::string padded(int64_t number, size_t width) {
  std::string digits = std::to_string(number);
  return digits.insert(0, width - std::min(width, digits.size()), '0');
}

// What the file of a line may be called, less the extension.
std::vector<std::string> stems_of(int64_t row, const CcFiles& files) {
  if (files.naming == CcNaming::index) return {std::to_string(row), padded(row, 9), padded(row, 8)};
  const std::string shard = padded(row / files.per_shard, 5);
  return {shard + "/" + shard + padded(row % files.per_shard, 4)};
}

std::string find_image(ImageFolder& images, const std::vector<std::string>& stems) {
  for (const std::string& stem : stems)
    for (const char* extension : {".jpg", ".jpeg", ".png"})
      if (images.contains(stem + extension)) return stem + extension;
  return "";
}

struct Columns {
  std::string_view caption, url;
};

class Tsv {
 public:
  Tsv(const fs::path& path, CcOrder order) : name_(path.string()), file_(path), order_(order) {}

  // false at the end
  bool next(Columns& columns) {
    std::string_view line;
    do {
      if (!file_.next(line)) return false;
    } while (is_header(line) || trimmed(line).empty());
    const std::string_view first = line.substr(0, line.find('\t'));
    const bool two = std::count(line.begin(), line.end(), '\t') == 1;
    GMAIL_INPUT(two, where(), ": expected a caption and an address with a tab between, found ",
                std::count(line.begin(), line.end(), '\t') + 1, " columns");
    const size_t bad = find_bad_utf8(line);
    GMAIL_INPUT(bad == std::string_view::npos, where(), ": not valid UTF-8 at column ", bad + 1);
    const std::string_view a = trimmed(first), b = trimmed(line.substr(first.size() + 1));
    if (order_ == CcOrder::automatic) {
      GMAIL_INPUT(is_address(a) != is_address(b), where(),
                  ": expected one column with an address, to tell the order; found ",
                  is_address(a) ? "two" : "none");
      order_ = is_address(a) ? CcOrder::url_caption : CcOrder::caption_url;
    }
    columns = order_ == CcOrder::url_caption ? Columns{b, a} : Columns{a, b};
    GMAIL_INPUT(is_address(columns.url), where(), ": expected an address in column ",
                order_ == CcOrder::url_caption ? 1 : 2, ", found \"", columns.url.substr(0, 60), "\"");
    return true;
  }

 private:
  [[nodiscard]] std::string where() const { return concat(name_, ":", file_.number()); }

  bool is_header(std::string_view line) {
    if (file_.number() != 1) return false;
    const bool caption_url = line == "caption\turl", url_caption = line == "url\tcaption";
    if (order_ == CcOrder::automatic && caption_url) order_ = CcOrder::caption_url;
    if (order_ == CcOrder::automatic && url_caption) order_ = CcOrder::url_caption;
    return caption_url || url_caption;
  }

  std::string name_;
  LineFile file_;
  CcOrder order_;
};

}  // namespace

Skips import_cc(const CcFiles& given, const fs::path& folder, const AddRecord& add) {
  CcFiles files = given;
  GMAIL_INPUT(files.per_shard > 0 && files.per_shard <= 10000, "per-shard: expected 1 to 10000, found ",
              files.per_shard);
  ImageFolder images(files.images, folder);
  if (files.naming == CcNaming::automatic)
    files.naming = fs::is_directory(files.images / "00000") ? CcNaming::img2dataset : CcNaming::index;
  Skips skips;
  Tsv tsv(files.tsv, files.order);
  Columns columns;
  for (int64_t row = 0; tsv.next(columns); ++row) {
    const std::vector<std::string> stems = stems_of(row, files);
    const std::string found = find_image(images, stems);
    if (found.empty()) {
      skips.skip("lines without an image", concat(stems.front(), ", ", columns.url));
    } else if (columns.caption.empty()) {
      skips.skip("empty captions", found);
    } else if (!add({fs::path(found).stem().string(),
                     images.in_manifest(found),
                     {std::string(columns.caption)},
                     files.split,
                     {},
                     {}})) {
      skips.skip("images whose id came before", found);
    }
  }
  return skips;
}

}  // namespace gmail

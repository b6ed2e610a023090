// What importers return: records for a manifest, and what they left out and why.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest_stream.h"

namespace gmail {

struct Skipped {
  int64_t count = 0;
  std::string first;  // one of them, by name
};

// What an importer left out.
struct Skips {
  std::map<std::string, Skipped> skipped;  // by reason

  void skip(const std::string& reason, const std::string& what);
  void add_skipped(const Skips& other);  // what another part of the set left out
  // "; skipped: 5 captions of no image (first x.jpg.1), .."; nothing if that is nothing
  [[nodiscard]] std::string text() const;
};

struct Imported : Skips {
  std::vector<Record> records;

  // "12 records; skipped: .."
  [[nodiscard]] std::string report() const;
  // A manifest of the records; InputError if there are none.
  void write(const std::filesystem::path& file) const;
};

// For data sets that are larger than the memory: import(add) calls add(record), which writes it, and returns
// what it left out. The manifest appears when all is written. Returns "12 records, 60 captions; skipped: ..";
// InputError if there are none.
[[nodiscard]] std::string stream_manifest(const std::filesystem::path& file,
                                          const std::function<Skips(const AddRecord& add)>& import);

// `path` as a manifest in `folder` names it: relative to it where that is possible.
[[nodiscard]] std::string relative_path(const std::filesystem::path& path,
                                        const std::filesystem::path& folder);

// without blanks and line ends before and behind
[[nodiscard]] std::string_view trimmed(std::string_view text);

// The lines "NAME<TAB>TEXT" of a file, trimmed; blank lines are left out. Bad lines are InputErrors
// "FILE:LINE: ..".
struct NamedText {
  std::string name, text;
  int64_t line;
};
[[nodiscard]] std::vector<NamedText> read_tsv(const std::filesystem::path& file);

// Does the name end in .jpg, .jpeg or .png, in any case?
[[nodiscard]] bool is_image_name(const std::filesystem::path& file);

// The JPEG and PNG files of a folder by name, in order; InputError if it is none.
[[nodiscard]] std::vector<std::filesystem::path> list_images(const std::filesystem::path& folder);

}  // namespace gmail

// What an importer returns: records for a manifest, and what it left out and why.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest.h"

namespace gmail {

struct Skipped {
  int64_t count = 0;
  std::string first;  // one of them, by name
};

struct Imported {
  std::vector<Record> records;
  std::map<std::string, Skipped> skipped;  // by reason

  void skip(const std::string& reason, const std::string& what);
  // "12 records; skipped: 5 captions of no image (x.jpg.1), .."
  [[nodiscard]] std::string report() const;
  // A manifest of the records; InputError if there are none.
  void write(const std::filesystem::path& file) const;
};

// `path` as a manifest in `folder` names it: relative to it where that is possible.
[[nodiscard]] std::string relative_path(const std::filesystem::path& path,
                                        const std::filesystem::path& folder);

// The lines "NAME<TAB>TEXT" of a file, trimmed; blank lines are left out. Bad lines are InputErrors
// "FILE:LINE: ..".
struct NamedText {
  std::string name, text;
  int64_t line;
};
[[nodiscard]] std::vector<NamedText> read_tsv(const std::filesystem::path& file);

// The JPEG and PNG files of a folder by name, in order; InputError if it is none.
[[nodiscard]] std::vector<std::filesystem::path> list_images(const std::filesystem::path& folder);

}  // namespace gmail

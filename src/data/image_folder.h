// Which images a folder holds: each of its directories is listed once, when it is first asked about, instead
// of a look at the disk for every image.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/name_set.h"

namespace gmail {

class ImageFolder {
 public:
  // `root` is the folder, InputError if it is none; `manifest` is the folder in which a manifest will stand.
  ImageFolder(const std::filesystem::path& root, const std::filesystem::path& manifest);

  // Is there a file of this name: relative to the root, "coco/train2017/000000000009.jpg"?
  [[nodiscard]] bool contains(std::string_view name);
  // The first of the names that is there; "" if none is.
  [[nodiscard]] std::string first_of(const std::vector<std::string>& names);
  // as the manifest writes it
  [[nodiscard]] std::string in_manifest(const std::string& name) const { return prefix_ + name; }

 private:
  std::filesystem::path root_;
  std::string prefix_;
  std::unordered_map<std::string, uint32_t> directories_;  // numbered as they are listed
  NameSet names_;                                          // the number's four bytes, then the name
};

// A path that stays inside the folder it is relative to: not empty, not absolute, no "..".
[[nodiscard]] bool stays_inside(std::string_view name);

}  // namespace gmail

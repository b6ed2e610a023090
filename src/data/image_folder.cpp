#include "data/image_folder.h"

#include <algorithm>

#include "core/check.h"
#include "data/import_result.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

std::string key_of(uint32_t directory, std::string_view name) {
  std::string key(reinterpret_cast<const char*>(&directory), sizeof directory);
  return key.append(name);
}

}  // namespace

ImageFolder::ImageFolder(const fs::path& root, const fs::path& manifest) : root_(root) {
  GMAIL_INPUT(fs::is_directory(root), root.string(), ": not a folder");
  const std::string relative = relative_path(root, manifest);
  prefix_ = relative == "." ? "" : relative + "/";
}

bool ImageFolder::contains(std::string_view name) {
  const size_t slash = name.rfind('/');
  const std::string directory(slash == std::string_view::npos ? "" : name.substr(0, slash));
  const auto [at, fresh] = directories_.emplace(directory, static_cast<uint32_t>(directories_.size()));
  if (fresh) {
    std::error_code none;  // a directory that is not there holds nothing
    for (const auto& entry : fs::directory_iterator(root_ / directory, none))
      names_.insert(key_of(at->second, entry.path().filename().string()));
  }
  return names_.contains(key_of(at->second, name.substr(slash + 1)));
}

std::string ImageFolder::first_of(const std::vector<std::string>& names) {
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& name) { return contains(name); });
  return found == names.end() ? "" : *found;
}

bool stays_inside(std::string_view name) {
  const auto padded = concat("/", name, "/");
  return !name.empty() && name[0] != '/' && name.find('\0') == std::string_view::npos &&
         padded.find("/../") == std::string::npos;
}

}  // namespace gmail

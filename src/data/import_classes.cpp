#include "data/import_classes.h"

#include <algorithm>
#include <map>

#include "core/check.h"
#include "io/utf8.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

// folder -> name; empty without a file
std::map<std::string, std::string> read_names(const fs::path& file) {
  std::map<std::string, std::string> names;
  if (file.empty()) return names;
  for (const NamedText& row : read_tsv(file))
    GMAIL_INPUT(names.emplace(row.name, row.text).second, file.string(), ":", row.line, ": \"", row.name,
                "\" is named twice");
  return names;
}

// The entries that `walk` comes to, in order.
template <class Walk>
std::vector<fs::path> sorted(Walk walk) {
  std::vector<fs::path> paths;
  for (const auto& entry : walk) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The images of a class, by path from its folder.
std::vector<fs::path> images_below(const fs::path& folder, Imported& out) {
  std::vector<fs::path> images;
  for (const fs::path& path : sorted(fs::recursive_directory_iterator(folder))) {
    if (!fs::is_regular_file(path)) continue;
    if (is_image_name(path))
      images.push_back(path.lexically_relative(folder));
    else
      out.skip("files that are neither JPEG nor PNG", path.string());
  }
  return images;
}

std::vector<fs::path> class_folders(const fs::path& images, Imported& out) {
  GMAIL_INPUT(fs::is_directory(images), images.string(), ": not a folder");
  std::vector<fs::path> folders;
  for (const fs::path& path : sorted(fs::directory_iterator(images))) {
    if (fs::is_directory(path))
      folders.push_back(path);
    else
      out.skip("files in no class's folder", path.filename().string());
  }
  GMAIL_INPUT(!folders.empty(), images.string(), ": expected a folder for each class, found none");
  return folders;
}

}  // namespace

Imported import_classes(const fs::path& images, const fs::path& names, const std::string& split,
                        const fs::path& folder) {
  Imported out;
  const std::map<std::string, std::string> given = read_names(names);
  const fs::path prefix = relative_path(images, folder);
  std::map<std::string, std::string> taken;  // name -> folder
  for (const fs::path& path : class_folders(images, out)) {
    const std::string base = path.filename().string();
    const std::vector<fs::path> files = images_below(path, out);
    if (files.empty()) {
      out.skip("classes without images", base);
      continue;
    }
    const auto named = given.find(base);
    GMAIL_INPUT(given.empty() || named != given.end(), names.string(), ": no line for the class \"", base,
                "\"");
    std::string name = given.empty() ? base : named->second;
    if (given.empty()) std::replace(name.begin(), name.end(), '_', ' ');
    GMAIL_INPUT(find_bad_utf8(name) == std::string::npos, path.string(), ": the name is not UTF-8");
    const auto [other, fresh] = taken.emplace(name, base);
    GMAIL_INPUT(fresh, images.string(), ": the classes \"", other->second, "\" and \"", base,
                "\" have one name, \"", name, "\"; --names can tell them apart");
    std::map<fs::path, int64_t> stems;
    for (const fs::path& file : files) ++stems[fs::path(file).replace_extension()];
    for (const fs::path& file : files) {
      const fs::path stem = fs::path(file).replace_extension();
      out.records.push_back({(fs::path(base) / (stems[stem] == 1 ? stem : file)).string(),
                             (prefix / base / file).lexically_normal().string(),
                             {"a photo of a " + name + "."},
                             split,
                             name,
                             {}});
    }
  }
  for (const auto& [base, name] : given)
    if (!fs::is_directory(images / base)) out.skip("names of no folder", base);
  return out;
}

}  // namespace gmail

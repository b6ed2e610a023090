#include "data/import_flickr8k.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "core/check.h"
#include "io/files.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

// name -> split
std::map<std::string, std::string> read_splits(const Flickr8kFiles& files) {
  std::map<std::string, std::string> splits;
  for (const auto& [file, split] :
       {std::pair(files.train, "train"), std::pair(files.dev, "val"), std::pair(files.test, "test")}) {
    const std::string text = read_text(file);
    for (size_t begin = 0, line = 1; begin < text.size(); ++line) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      std::string name = text.substr(begin, end - begin);
      begin = end + 1;
      if (name.ends_with('\r')) name.pop_back();
      if (name.empty()) continue;
      const auto [at, fresh] = splits.emplace(name, split);
      GMAIL_INPUT(fresh || at->second == split, file.string(), ":", line, ": ", name, " is in the ",
                  at->second, " list too");
    }
  }
  return splits;
}

// "NAME#N" -> NAME
std::string image_of(const NamedText& row, const fs::path& file) {
  const size_t hash = row.name.rfind('#');
  const bool good = hash != std::string::npos && hash > 0 && hash + 1 < row.name.size() &&
                    row.name.find_first_not_of("0123456789", hash + 1) == std::string::npos;
  GMAIL_INPUT(good, file.string(), ":", row.line, ": expected an image's name, # and a number, found \"",
              row.name, "\"");
  return row.name.substr(0, hash);
}

}  // namespace

Flickr8kFiles Flickr8kFiles::in(const fs::path& folder) {
  const fs::path lists = fs::is_directory(folder / "splits") ? folder / "splits" : folder;
  return {folder / "Flickr8k.token.txt", folder / "images", lists / "Flickr_8k.trainImages.txt",
          lists / "Flickr_8k.devImages.txt", lists / "Flickr_8k.testImages.txt"};
}

Imported import_flickr8k(const Flickr8kFiles& files, const fs::path& folder) {
  const std::map<std::string, std::string> splits = read_splits(files);
  std::set<std::string> present;
  for (const fs::path& image : list_images(files.images)) present.insert(image.filename().string());
  const fs::path prefix = relative_path(files.images, folder);
  Imported out;
  std::unordered_map<std::string, size_t> index;
  for (const NamedText& row : read_tsv(files.tokens)) {
    const std::string name = image_of(row, files.tokens);
    if (!present.contains(name)) {
      out.skip("captions of no image", name);
      continue;
    }
    const auto [at, fresh] = index.emplace(name, out.records.size());
    if (fresh) {
      const auto split = splits.find(name);
      const std::string in_split = split == splits.end() ? "none" : split->second;
      out.records.push_back({fs::path(name).stem().string(),
                             (prefix / name).lexically_normal().string(),
                             {},
                             in_split,
                             std::nullopt,
                             {}});
    }
    out.records[at->second].captions.push_back(row.text);
  }
  for (const std::string& name : present)
    if (!index.contains(name)) out.skip("images without captions", name);
  for (const auto& [name, split] : splits)
    if (!present.contains(name)) out.skip("names of a list without image", name);
  return out;
}

}  // namespace gmail

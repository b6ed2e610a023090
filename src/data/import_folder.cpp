#include "data/import_folder.h"

#include <unordered_map>

namespace gmail {

namespace fs = std::filesystem;

Imported import_folder(const fs::path& images, const fs::path& captions, const std::string& split,
                       const fs::path& folder) {
  const std::vector<fs::path> files = list_images(images);
  std::unordered_map<std::string, int64_t> stems;
  std::unordered_map<std::string, bool> used;  // by name
  for (const fs::path& file : files) {
    ++stems[file.stem().string()];
    used.emplace(file.filename().string(), false);
  }
  const fs::path prefix = relative_path(images, folder);
  Imported out;
  std::unordered_map<std::string, size_t> index;
  for (const NamedText& row : read_tsv(captions)) {
    const auto image = used.find(row.name);
    if (image == used.end()) {
      out.skip("captions of no image", row.name);
      continue;
    }
    image->second = true;
    const auto [at, fresh] = index.emplace(row.name, out.records.size());
    if (fresh) {
      const std::string stem = fs::path(row.name).stem().string();
      const std::string id = stems[stem] == 1 ? stem : row.name;
      out.records.push_back(
          {id, (prefix / row.name).lexically_normal().string(), {}, split, std::nullopt, {}});
    }
    out.records[at->second].captions.push_back(row.text);
  }
  for (const fs::path& file : files)
    if (!used[file.filename().string()]) out.skip("images without captions", file.filename().string());
  return out;
}

}  // namespace gmail

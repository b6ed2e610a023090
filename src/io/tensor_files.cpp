#include "io/tensor_files.h"

#include <nlohmann/json.hpp>

#include "io/json.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

fs::path index_of(const fs::path& folder, const std::string& file) { return folder / (file + ".index.json"); }

// The name of a file beside the index, never a way out of its folder.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

// tensor -> file, as the index says
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const Json json = read_json(index);
  Fields fields(json, index.string());
  const std::string name = "weight_map";
  if (!fields.has(name) || !json[name].is_object() || json[name].empty())
    fields.wrong(name, "an object {tensor: file}");
  std::map<std::string, std::string> map;
  for (const auto& [tensor, file] : json[name].items()) {
    GMAIL_INPUT(file.is_string() && is_plain_name(file.get_ref<const std::string&>()), index.string(),
                ": field \"weight_map\": tensor ", describe(tensor),
                ": expected the name of a file in the same folder, found ", describe(file));
    map.emplace(tensor, file.get<std::string>());
  }
  return map;
}

}  // namespace

TensorFiles::TensorFiles(const SafetensorsFile& file) : path_(file.path()), files_{file} {
  for (const std::string& name : file.names()) in_.emplace(name, 0);
}

bool TensorFiles::exist(const fs::path& folder, const std::string& file) {
  return fs::exists(folder / file) || fs::exists(index_of(folder, file));
}

TensorFiles TensorFiles::open(const fs::path& folder, const std::string& file) {
  const fs::path one = folder / file, index = index_of(folder, file);
  if (!fs::exists(one) && fs::exists(index)) return open_index(index);
  return SafetensorsFile(one);
}

TensorFiles TensorFiles::open_index(const fs::path& index) {
  const std::map<std::string, std::string> weight_map = read_weight_map(index);
  std::map<std::string, size_t> numbers;  // of the files, in the order of their names
  for (const auto& [tensor, file] : weight_map) numbers.emplace(file, 0);
  std::string missing;
  for (const auto& [file, number] : numbers)
    if (!fs::exists(index.parent_path() / file)) missing += (missing.empty() ? "" : ", ") + file;
  GMAIL_INPUT(missing.empty(), index.string(), ": files are missing beside it: ", missing);

  TensorFiles all;
  all.path_ = index;
  for (auto& [file, number] : numbers) {
    number = all.files_.size();
    all.files_.emplace_back(index.parent_path() / file);
  }
  for (const auto& [tensor, file] : weight_map) {
    const size_t number = numbers.at(file);
    GMAIL_INPUT(all.files_[number].has(tensor), index.string(), ": tensor ", describe(tensor),
                " should be in ", file, ", but is not");
    all.in_.emplace(tensor, number);
  }
  for (size_t i = 0; i < all.files_.size(); ++i)
    for (const std::string& name : all.files_[i].names()) {
      const auto listed = all.in_.find(name);
      GMAIL_INPUT(listed != all.in_.end() && listed->second == i, index.string(), ": tensor ", describe(name),
                  " is in ", all.files_[i].path().filename().string(), ", but not listed there");
    }
  return all;
}

std::vector<std::string> TensorFiles::names() const {
  std::vector<std::string> names;
  for (const auto& [name, number] : in_) names.push_back(name);
  return names;
}

const SafetensorsFile& TensorFiles::with(const std::string& name) const {
  const auto found = in_.find(name);
  GMAIL_INPUT(found != in_.end(), "[safetensors] ", path_.string(), ": no tensor '", name, "'");
  return files_[found->second];
}

void TensorFiles::leave_out(const std::function<bool(const std::string& name)>& unwanted) {
  std::erase_if(in_, [&](const auto& item) { return unwanted(item.first); });
}

}  // namespace gmail

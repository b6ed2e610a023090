#include "nn/param_file.h"

#include <set>

namespace gmail {
namespace {

// "3 missing: a, b, c", at most ten of them by name; "" if there are none
std::string listing(const char* what, const std::vector<std::string>& names) {
  constexpr size_t kShown = 10;
  if (names.empty()) return "";
  std::string text = concat("; ", names.size(), " ", what, ": ");
  for (size_t i = 0; i < names.size() && i < kShown; ++i) text += (i > 0 ? ", " : "") + names[i];
  return names.size() > kShown ? text + ", ..." : text;
}

}  // namespace

void load_params(const SafetensorsFile& file, const ParamList& params, const std::string& prefix,
                 Unexpected unexpected) {
  std::set<std::string> wanted;
  std::vector<std::string> missing, extra, misshaped;
  for (const Param* p : params) {
    const std::string name = prefix + p->name;
    GMAIL_CHECK(wanted.insert(name).second, "[params] two parameters are called '", name, "'");
    if (!file.has(name)) {
      missing.push_back(name);
    } else if (file.shape(name) != p->value.shape()) {
      misshaped.push_back(concat(name, " (expected ", p->value.shape(), ", found ", file.shape(name), ")"));
    }
  }
  for (const std::string& name : file.names())
    if (unexpected == Unexpected::refuse && name.starts_with(prefix) && !wanted.contains(name))
      extra.push_back(name);
  const std::string problems =
      listing("missing", missing) + listing("unexpected", extra) + listing("of another shape", misshaped);
  GMAIL_INPUT(problems.empty(), file.path().string(), " does not fit the model", problems);
  for (Param* p : params) {
    p->value.copy_from(file.read(prefix + p->name));
    p->value.storage().copies = nullptr;  // they were made of the old value
  }
}

void save_params(const std::filesystem::path& path, const ParamList& params, const Metadata& metadata,
                 StoreAs store, const std::string& prefix) {
  std::vector<NamedTensor> tensors;
  for (const Param* p : params) tensors.push_back({prefix + p->name, p->value});
  save_safetensors(path, tensors, metadata, store);
}

}  // namespace gmail

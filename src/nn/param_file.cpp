#include "nn/param_file.h"

#include "nn/param_places.h"

namespace gmail {
namespace {

Places after(const std::string& prefix) {
  return [&prefix](const Param& p) { return Place{prefix + p.name, 0, 1, p.transposed}; };
}

}  // namespace

void load_params(const TensorFiles& files, const ParamList& params, const std::string& prefix,
                 Unexpected unexpected) {
  check_params(files, params, after(prefix), [&](const std::string& name) {
    return unexpected == Unexpected::ignore || !name.starts_with(prefix);
  });
  fill_params(files, params, after(prefix));
}

void save_params(const std::filesystem::path& path, const ParamList& params, const Metadata& metadata,
                 StoreAs store, const std::string& prefix) {
  save_safetensors(path, put_params(params, after(prefix)), metadata, store);
}

}  // namespace gmail

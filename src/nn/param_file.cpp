#include "nn/param_file.h"

#include <algorithm>
#include <set>

#include "core/parallel_for.h"

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

// A matrix (m, n) as (n, m).
Tensor transposed(const Tensor& matrix) {
  GMAIL_CHECK(matrix.rank() == 2, "[params] expected a matrix to transpose, got ", matrix.shape());
  const int64_t m = matrix.size(0), n = matrix.size(1);
  const Tensor from = matrix.to(DType::float32);
  Tensor to = Tensor::empty({n, m});
  const float* x = from.data<float>();
  float* y = to.data<float>();
  constexpr int64_t kBlock = 16;  // floats of a cache line: both sides are read and written by whole lines
  parallel_for((n + kBlock - 1) / kBlock, 8, [&](int64_t first, int64_t last) {
    for (int64_t i0 = 0; i0 < m; i0 += kBlock)
      for (int64_t j = first * kBlock; j < std::min(n, last * kBlock); ++j)
        for (int64_t i = i0; i < std::min(m, i0 + kBlock); ++i) y[j * m + i] = x[i * n + j];
  });
  return to;
}

Shape shape_in_file(const Param& p) {
  const Shape& s = p.value.shape();
  return p.transposed ? Shape{s[1], s[0]} : s;
}

}  // namespace

void load_params(const TensorFiles& files, const ParamList& params, const std::string& prefix,
                 Unexpected unexpected) {
  std::set<std::string> wanted;
  std::vector<std::string> missing, extra, misshaped;
  for (const Param* p : params) {
    const std::string name = prefix + p->name;
    GMAIL_CHECK(wanted.insert(name).second, "[params] two parameters are called '", name, "'");
    if (!files.has(name)) {
      missing.push_back(name);
    } else if (const Shape expected = shape_in_file(*p); files.shape(name) != expected) {
      misshaped.push_back(concat(name, " (expected ", expected, ", found ", files.shape(name), ")"));
    }
  }
  for (const std::string& name : files.names())
    if (unexpected == Unexpected::refuse && name.starts_with(prefix) && !wanted.contains(name))
      extra.push_back(name);
  const std::string problems =
      listing("missing", missing) + listing("unexpected", extra) + listing("of another shape", misshaped);
  GMAIL_INPUT(problems.empty(), files.path().string(), " does not fit the model", problems);
  for (Param* p : params) {
    const Tensor there = files.view(prefix + p->name, p->value.dtype());
    const Tensor value = p->transposed ? transposed(there).to(p->value.dtype()) : there;
    if (!p->trainable && p->value.device() == Device::cpu) {
      p->value = value;
      p->value.storage().constant = true;
    } else {
      p->value.copy_from(value);
      p->value.storage().copies = nullptr;  // they were made of the old value
    }
  }
}

void save_params(const std::filesystem::path& path, const ParamList& params, const Metadata& metadata,
                 StoreAs store, const std::string& prefix) {
  std::vector<NamedTensor> tensors;
  for (const Param* p : params)
    tensors.push_back({prefix + p->name, p->transposed ? transposed(p->value.to(Device::cpu)) : p->value});
  save_safetensors(path, tensors, metadata, store);
}

}  // namespace gmail

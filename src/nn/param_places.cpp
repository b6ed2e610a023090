#include "nn/param_places.h"

#include <algorithm>
#include <map>
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

// The shape of the whole tensor in the file.
Shape shape_at(const Place& place, const Shape& param) {
  if (place.transposed) return {param[1], param[0]};
  return place.parts == 1 ? param : param.with(0, param[0] * place.parts);
}

Tensor value_at(const TensorFiles& files, const Place& place, DType dtype) {
  const Tensor whole = files.view(place.name, dtype);
  if (place.transposed) return transposed(whole).to(dtype);
  if (place.parts == 1) return whole;
  const int64_t rows = whole.size(0) / place.parts;
  const Tensor part = whole.rows(place.part * rows, (place.part + 1) * rows);
  return part.storage().read_only() ? part : part.clone();  // a converted whole is not kept for its part
}

}  // namespace

void check_params(const TensorFiles& files, const ParamList& params, const Places& places,
                  const std::function<bool(const std::string&)>& ignored) {
  std::set<std::string> wanted;
  std::set<std::pair<std::string, int64_t>> taken;
  std::vector<std::string> missing, extra, misshaped;
  for (const Param* p : params) {
    const Place place = places(*p);
    GMAIL_CHECK(taken.emplace(place.name, place.part).second, "[params] two parameters are called '",
                place.name, "'");
    if (!wanted.insert(place.name).second) continue;  // another part has said it
    const Shape shape = shape_at(place, p->value.shape());
    if (!files.has(place.name)) {
      missing.push_back(place.name);
    } else if (files.shape(place.name) != shape) {
      misshaped.push_back(concat(place.name, " (expected ", shape, ", found ", files.shape(place.name), ")"));
    }
  }
  for (const std::string& name : files.names())
    if (!wanted.contains(name) && !(ignored && ignored(name))) extra.push_back(name);
  const std::string problems =
      listing("missing", missing) + listing("unexpected", extra) + listing("of another shape", misshaped);
  GMAIL_INPUT(problems.empty(), files.path().string(), " does not fit the model", problems);
}

void fill_params(const TensorFiles& files, const ParamList& params, const Places& places) {
  for (Param* p : params) {
    const Tensor value = value_at(files, places(*p), p->value.dtype());
    if (!p->trainable && p->value.device() == Device::cpu) {
      p->value = value;
      p->value.storage().constant = true;
    } else {
      p->value.copy_from(value);
      p->value.storage().copies = nullptr;  // they were made of the old value
    }
  }
}

std::vector<NamedTensor> put_params(const ParamList& params, const Places& places) {
  std::vector<NamedTensor> out;
  std::map<std::string, size_t> at;
  for (const Param* p : params) {
    const Place place = places(*p);
    const Tensor value = p->value.to(Device::cpu);
    const auto [found, first] = at.try_emplace(place.name, out.size());
    if (place.parts == 1) {
      out.push_back({place.name, place.transposed ? transposed(value) : value});
      continue;
    }
    if (first) out.push_back({place.name, Tensor::empty(shape_at(place, value.shape()), value.dtype())});
    const int64_t rows = value.size(0);
    out[found->second].tensor.rows(place.part * rows, (place.part + 1) * rows).copy_from(value);
  }
  return out;
}

}  // namespace gmail

#include "gmail/adapter_file.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "gmail/name_pattern.h"
#include "io/json.h"

namespace gmail {
namespace {

constexpr std::string_view kPrefix = "base_model.model.", kA = ".lora_A.weight", kB = ".lora_B.weight";
constexpr const char* kConfig = "adapter_config.json";
constexpr const char* kTensors = "adapter_model.safetensors";

bool is_set(const Json& json, const char* field) {
  const auto it = json.find(field);
  if (it == json.end() || it->is_null()) return false;
  return it->is_boolean() ? it->get<bool>() : !it->is_string() && !it->is_structured() ? true : !it->empty();
}

// What is more than x W^T + scale (x A^T) B^T on linear layers, or less.
void check_kind(const Json& json, const std::string& file) {
  GMAIL_INPUT(json.is_object(), file, ": expected an object, found ", describe(json));
  const auto expect = [&](const char* field, const char* expected, bool absent_is_fine) {
    const bool fine = json.contains(field) ? json[field] == expected : absent_is_fine;
    GMAIL_INPUT(fine, file, ": field \"", field, "\": expected \"", expected, "\", found ",
                json.contains(field) ? describe(json[field]) : "nothing");
  };
  expect("peft_type", "LORA", false);
  expect("bias", "none", true);
  for (const char* field : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora", "use_bdlora",
                            "layer_replication", "trainable_token_indices", "target_parameters",
                            "alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config"})
    GMAIL_INPUT(!is_set(json, field), file, ": field \"", field, "\": expected none, found ",
                describe(json[field]), "; only a plain LoRA can be read");
  if (!json.contains("init_lora_weights") || !json["init_lora_weights"].is_string()) return;
  const auto start = json["init_lora_weights"].get<std::string>();
  for (const char* kind : {"pissa", "olora", "corda", "loftq"})
    GMAIL_INPUT(!start.starts_with(kind), file, ": field \"init_lora_weights\": \"", start,
                "\" changed the base weights too; save it with path_initial_model_for_weight_conversion");
}

double number_in(const Json& value, const std::string& where) {
  GMAIL_INPUT(value.is_number() && std::isfinite(value.get<double>()), where, ": expected a number, found ",
              describe(value));
  return value.get<double>();
}

// What adapter_config.json says about the scale of an update.
class Scales {
 public:
  Scales(const Json& json, const std::string& file) : rslora_(is_set(json, "use_rslora")) {
    const std::string field = file + ": field \"lora_alpha\"";
    GMAIL_INPUT(json.contains("lora_alpha"), field, ": expected a number, found nothing");
    alpha_ = number_in(json["lora_alpha"], field);
    if (!is_set(json, "alpha_pattern")) return;
    where_ = file + ": field \"alpha_pattern\"";
    GMAIL_INPUT(json["alpha_pattern"].is_object(), where_, ": expected an object, found ",
                describe(json["alpha_pattern"]));
    const auto in_order = nlohmann::ordered_json::parse(read_text(file));  // the first that matches counts
    for (const auto& item : in_order["alpha_pattern"].items())
      patterns_.emplace_back(item.key(), number_in(json["alpha_pattern"][item.key()], where_));
  }
  [[nodiscard]] double of(const std::string& path, int64_t rank) const {
    const auto own = std::find_if(patterns_.begin(), patterns_.end(),
                                  [&](const auto& p) { return pattern_matches(p.first, path, where_); });
    const auto r = static_cast<double>(rank);
    return (own == patterns_.end() ? alpha_ : own->second) / (rslora_ ? std::sqrt(r) : r);
  }

 private:
  bool rslora_;
  double alpha_ = 0;
  std::string where_;
  std::vector<std::pair<std::string, double>> patterns_;
};

std::vector<std::string> saved_modules(const Json& json, const std::string& file) {
  std::vector<std::string> names;
  if (!is_set(json, "modules_to_save")) return names;
  const Json& list = json["modules_to_save"];
  for (const Json& name : list.is_array() ? list : Json::array({list})) {
    GMAIL_INPUT(name == "visual_projection" || name == "text_projection", file,
                ": field \"modules_to_save\": expected visual_projection or text_projection, found ",
                describe(name));
    names.push_back(name.get<std::string>() + ".weight");
  }
  return names;
}

// "a, b, c and 5 more"
std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kShown = 10;
  std::string text;
  for (size_t i = 0; i < names.size() && i < kShown; ++i) text += (i > 0 ? ", " : "") + names[i];
  return names.size() > kShown ? text + concat(" and ", names.size() - kShown, " more") : text;
}

}  // namespace

namespace {

AdapterFile::Update read_update(const SafetensorsFile& file, const std::string& layer, const Scales& scales) {
  const std::string prefix = std::string(kPrefix) + layer, path = file.path().string();
  const std::string a = prefix + std::string(kA), b = prefix + std::string(kB);
  for (const std::string& name : {a, b}) GMAIL_INPUT(file.has(name), path, ": no tensor ", name);
  const Shape &sa = file.shape(a), &sb = file.shape(b);
  GMAIL_INPUT(sa.rank() == 2 && sb.rank() == 2 && sa[0] >= 1 && sa[0] == sb[1], path, ": ", layer,
              ": expected lora_A (r, in) and lora_B (out, r), found ", sa, " and ", sb);
  return {layer, file.read(a, DType::float32), file.read(b, DType::float32), scales.of(layer, sa[0])};
}

}  // namespace

AdapterFile AdapterFile::read(const std::filesystem::path& folder) {
  const std::string config = (folder / kConfig).string();
  const Json json = read_json(config);
  check_kind(json, config);
  const Scales scales(json, config);
  const std::vector<std::string> saved = saved_modules(json, config);
  AdapterFile adapter;
  adapter.folder = folder;
  if (const auto base = json.find("base_model_name_or_path"); base != json.end() && base->is_string())
    adapter.base_model = base->get<std::string>();
  const SafetensorsFile file(folder / kTensors);
  std::vector<std::string> other;
  for (const std::string& name : file.names()) {
    const std::string inner = name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : "";
    const std::string layer = inner.substr(0, inner.size() - std::min(inner.size(), kA.size()));
    if (std::find(saved.begin(), saved.end(), inner) != saved.end())
      adapter.weights.push_back({inner, file.read(name, DType::float32)});
    else if (inner.ends_with(kA))
      adapter.updates.push_back(read_update(file, layer, scales));
    else if (!inner.ends_with(kB) || !file.has(std::string(kPrefix) + layer + std::string(kA)))
      other.push_back(name);
  }
  const std::string path = file.path().string();
  GMAIL_INPUT(other.empty(), path, ": expected lora_A and lora_B of linear layers, found ", listed(other));
  GMAIL_INPUT(!adapter.updates.empty(), path, ": no tensor ", kPrefix, "PATH", kA);
  GMAIL_INPUT(adapter.weights.size() == saved.size(), config, ": field \"modules_to_save\": ", saved.size(),
              " modules, of which ", path, " has ", adapter.weights.size());
  return adapter;
}

void AdapterFile::attach(const std::vector<Linear*>& layers) const {
  const auto layer_of = [&](const std::string& path) {
    const auto it =
        std::find_if(layers.begin(), layers.end(), [&](const Linear* l) { return l->path() == path; });
    return it == layers.end() ? nullptr : *it;
  };
  std::vector<std::string> unknown;
  const auto check = [&](const std::string& path, const Shape& shape) {
    const Linear* l = layer_of(path);
    if (l == nullptr)
      unknown.push_back(path);
    else if (l->weight.value.shape() != shape)
      unknown.push_back(concat(path, " (for a weight ", shape, ", it is ", l->weight.value.shape(), ")"));
  };
  for (const Update& u : updates) check(u.path, {u.b.size(0), u.a.size(1)});
  for (const NamedTensor& w : weights) check(w.name.substr(0, w.name.rfind('.')), w.tensor.shape());
  GMAIL_INPUT(unknown.empty(), folder.string(),
              " does not fit the model; no such layer here: ", listed(unknown));
  for (const NamedTensor& w : weights) {
    Param& weight = layer_of(w.name.substr(0, w.name.rfind('.')))->weight;
    weight.value = w.tensor.to(weight.value.device());
    weight.value.storage().constant = !weight.trainable;
  }
  for (const Update& u : updates) {
    Linear& l = *layer_of(u.path);
    l.add_lora(u.a.size(0), 0, 0);
    l.lora->scale = u.scale;
    l.lora->a.value.copy_from(u.a);
    l.lora->b.value.copy_from(u.b);
    place({&l.lora->a, &l.lora->b}, l.weight.value.device());
  }
}

void write_adapter(const std::filesystem::path& folder, const std::vector<Linear*>& layers,
                   const std::string& base_model) {
  std::vector<NamedTensor> tensors;
  Json paths = Json::array(), ranks = Json::object(), alphas = Json::object();
  int64_t r = 0;  // those of the first layer; the patterns name what differs
  double alpha = 0;
  for (const Linear* l : layers) {
    if (!l->lora) continue;
    const int64_t own_r = l->lora->a.value.size(0);
    double own = l->lora->scale * static_cast<double>(own_r);
    if (std::abs(own - std::round(own)) < 1e-9) own = std::round(own);  // alpha / r * r
    if (tensors.empty()) r = own_r, alpha = own;
    if (own_r != r) ranks[l->path()] = own_r;
    if (own != alpha) alphas[l->path()] = own;
    paths.push_back(l->path());
    for (const Param* p : {&l->lora->a, &l->lora->b})
      tensors.push_back({std::string(kPrefix) + p->name, p->value});
  }
  GMAIL_CHECK(!tensors.empty(), "[adapter] no layer has an update");
  const bool whole = alpha == std::round(alpha) && std::abs(alpha) < 1e9;
  make_dirs(folder);
  save_safetensors(folder / kTensors, tensors, {{"format", "pt"}});
  write_json(folder / kConfig, {{"peft_type", "LORA"},
                                {"base_model_name_or_path", base_model.empty() ? Json() : Json(base_model)},
                                {"task_type", nullptr},
                                {"inference_mode", true},
                                {"r", r},
                                {"lora_alpha", whole ? Json(static_cast<int64_t>(alpha)) : Json(alpha)},
                                {"lora_dropout", 0.0},
                                {"target_modules", paths},
                                {"rank_pattern", ranks},
                                {"alpha_pattern", alphas},
                                {"bias", "none"},
                                {"fan_in_fan_out", false},
                                {"use_rslora", false},
                                {"use_dora", false},
                                {"init_lora_weights", true},
                                {"modules_to_save", nullptr}});
}

}  // namespace gmail

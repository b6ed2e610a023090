#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/json.h"
#include "models/clip.h"

namespace gmail {
namespace {

using nlohmann::json;

constexpr int64_t kMaxSize = int64_t{1}
                             << 31;  // of any width, count or side: products stay far from overflow

// The number under `key`; one that is missing or null has the value `absent`.
int64_t size_at(const json& j, const char* key, int64_t absent, const std::string& where) {
  const auto it = j.find(key);
  if (it == j.end() || it->is_null()) return absent;
  GMAIL_INPUT(it->is_number_integer() && it->get<int64_t>() > 0 && it->get<int64_t>() < kMaxSize, where,
              ": field \"", key, "\": expected a positive integer, found ", describe(*it));
  return it->get<int64_t>();
}

// A side in pixels, which may be given as [n, n].
int64_t side_at(json j, const char* key, int64_t absent, const std::string& where) {
  const auto it = j.find(key);
  if (it != j.end() && it->is_array() && it->size() == 2 && (*it)[0] == (*it)[1]) *it = json((*it)[0]);
  return size_at(j, key, absent, where);
}

double number_at(const json& j, const char* key, double absent, const std::string& where) {
  const auto it = j.find(key);
  if (it == j.end() || it->is_null()) return absent;
  GMAIL_INPUT(it->is_number(), where, ": field \"", key, "\": expected a number, found ", describe(*it));
  return it->get<double>();
}

// transformers' defaults: CLIPTextConfig and CLIPVisionConfig.
constexpr TowerConfig kText{512, 2048, 12, 8, Activation::quick_gelu, 1e-5};
constexpr TowerConfig kVision{768, 3072, 12, 12, Activation::quick_gelu, 1e-5};

TowerConfig tower_from(const json& j, const TowerConfig& absent, std::optional<Activation> act,
                       const std::string& where) {
  TowerConfig c;
  c.hidden_size = size_at(j, "hidden_size", absent.hidden_size, where);
  c.intermediate_size = size_at(j, "intermediate_size", absent.intermediate_size, where);
  c.num_hidden_layers = size_at(j, "num_hidden_layers", absent.num_hidden_layers, where);
  c.num_attention_heads =
      static_cast<int>(size_at(j, "num_attention_heads", absent.num_attention_heads, where));
  GMAIL_INPUT(c.hidden_size % c.num_attention_heads == 0, where, ": ", c.num_attention_heads,
              " attention heads do not divide hidden_size ", c.hidden_size);
  c.layer_norm_eps = number_at(j, "layer_norm_eps", absent.layer_norm_eps, where);
  const auto stated = j.find("hidden_act");
  if (stated != j.end() && stated->is_string()) {
    c.hidden_act = activation_of(stated->get<std::string>(), where);
    return c;
  }
  GMAIL_INPUT(act.has_value(), where,
              ": field \"hidden_act\": expected \"quick_gelu\" or \"gelu\", found nothing (it is never "
              "guessed; gmail convert clip --activation says it once and for all)");
  c.hidden_act = *act;
  return c;
}

json tower_to(const TowerConfig& c) {
  return {{"hidden_size", c.hidden_size},
          {"intermediate_size", c.intermediate_size},
          {"num_hidden_layers", c.num_hidden_layers},
          {"num_attention_heads", c.num_attention_heads},
          {"hidden_act", name_of(c.hidden_act)},
          {"layer_norm_eps", c.layer_norm_eps}};
}

// j[NAME], and above it what j[NAME_dict] has, or, where that leaves a key out, the default. Only hidden_act
// is taken from wherever it is stated.
json section(const json& j, const std::string& name, const std::string& file) {
  json values = json::object();
  for (const std::string& key : {name, name + "_dict"}) {
    const auto it = j.find(key);
    if (it == j.end() || it->is_null()) continue;
    GMAIL_INPUT(it->is_object(), file, ": field \"", key, "\": expected an object, found ", describe(*it));
    json above = *it;
    if (!above.contains("hidden_act") && values.contains("hidden_act"))
      above["hidden_act"] = values["hidden_act"];
    values = std::move(above);
  }
  return values;
}

}  // namespace

Activation activation_of(const std::string& name, const std::string& where) {
  if (name == "quick_gelu") return Activation::quick_gelu;
  if (name == "gelu") return Activation::gelu_erf;
  if (name == "gelu_new") return Activation::gelu_tanh;
  throw InputError(
      concat(where, ": field \"hidden_act\": expected \"quick_gelu\", \"gelu\" or \"gelu_new\", found \"",
             name, "\""));
}

std::string name_of(Activation kind) {
  switch (kind) {
    case Activation::quick_gelu:
      return "quick_gelu";
    case Activation::gelu_erf:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_new";
    case Activation::silu:
      return "silu";
    case Activation::relu:
      return "relu";
    case Activation::tanh:
      return "tanh";
  }
  return "?";
}

ClipConfig ClipConfig::from_json(const json& j, const std::string& file) {
  return from_json(j, file, Absent());
}

ClipConfig ClipConfig::from_json(const json& j, const std::string& file, const Absent& absent) {
  GMAIL_INPUT(j.is_object(), file, ": expected an object, found ", j.type_name());
  GMAIL_INPUT(!j.contains("model_type") || j["model_type"] == "clip", file,
              ": field \"model_type\": expected \"clip\", found ", describe(j["model_type"]));
  ClipConfig c;
  c.projection_dim = size_at(j, "projection_dim", 512, file);
  c.logit_scale_init_value = number_at(j, "logit_scale_init_value", 2.6592, file);
  const json vision = section(j, "vision_config", file), text = section(j, "text_config", file);
  const std::string in_vision = file + ": vision_config", in_text = file + ": text_config";
  c.vision = tower_from(vision, kVision, absent.hidden_act, in_vision);
  c.text = tower_from(text, kText, absent.hidden_act, in_text);
  c.image_size = side_at(vision, "image_size", 224, in_vision);
  c.patch_size = side_at(vision, "patch_size", 32, in_vision);
  GMAIL_INPUT(size_at(vision, "num_channels", 3, in_vision) == 3, in_vision,
              ": field \"num_channels\": expected 3, found ", vision["num_channels"].dump());
  c.vocab_size = size_at(text, "vocab_size", 49408, in_text);
  c.max_position_embeddings = size_at(text, "max_position_embeddings", absent.context, in_text);
  const auto eos = text.find("eos_token_id");
  if (eos != text.end() && !eos->is_null()) {
    GMAIL_INPUT(eos->is_number_integer(), in_text, ": field \"eos_token_id\": expected an integer, found ",
                describe(*eos));
    c.eos_token_id = eos->get<int64_t>();
  }
  return c;
}

json ClipConfig::to_json() const {
  json vision_json = tower_to(vision), text_json = tower_to(text);
  vision_json["image_size"] = image_size;
  vision_json["patch_size"] = patch_size;
  text_json["vocab_size"] = vocab_size;
  text_json["max_position_embeddings"] = max_position_embeddings;
  if (eos_token_id) text_json["eos_token_id"] = *eos_token_id;
  return {{"model_type", "clip"},
          {"projection_dim", projection_dim},
          {"logit_scale_init_value", logit_scale_init_value},
          {"vision_config", vision_json},
          {"text_config", text_json}};
}

Tensor text_ends(const ClipConfig& config, const Tensor& ids) {
  const int64_t B = ids.size(0), T = ids.size(1);
  Tensor ends = Tensor::empty({B}, DType::int32);
  for (int64_t b = 0; b < B; ++b) {
    const int32_t *row = ids.data<int32_t>() + b * T, *past = row + T;
    const int32_t* at = std::max_element(row, past);  // the first of them
    if (config.eos_token_id && *config.eos_token_id != 2) {
      at = std::find(row, past, *config.eos_token_id);
      if (at == past) at = row;
    }
    ends.data<int32_t>()[b] = static_cast<int32_t>(at - row);
  }
  return ends;
}

}  // namespace gmail

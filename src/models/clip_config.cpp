#include <nlohmann/json.hpp>

#include "models/clip.h"

namespace gmail {
namespace {

using nlohmann::json;

int64_t size_at(const json& j, const char* key, const std::string& where) {
  const auto it = j.find(key);
  GMAIL_INPUT(it != j.end() && it->is_number_integer() && it->get<int64_t>() > 0, where, ": field \"", key,
              "\": expected a positive integer, found ", it == j.end() ? "nothing" : it->dump());
  return it->get<int64_t>();
}

TowerConfig tower_from(const json& j, const std::string& where) {
  TowerConfig c;
  c.hidden_size = size_at(j, "hidden_size", where);
  c.intermediate_size = size_at(j, "intermediate_size", where);
  c.num_hidden_layers = size_at(j, "num_hidden_layers", where);
  c.num_attention_heads = static_cast<int>(size_at(j, "num_attention_heads", where));
  GMAIL_INPUT(
      j.contains("hidden_act") && j["hidden_act"].is_string(), where,
      ": field \"hidden_act\": expected \"quick_gelu\" or \"gelu\", found nothing (it is never guessed)");
  c.hidden_act = activation_of(j["hidden_act"], where);
  c.layer_norm_eps = j.value("layer_norm_eps", 1e-5);
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

const json& section(const json& j, const char* key, const std::string& file) {
  const auto it = j.find(key);
  GMAIL_INPUT(it != j.end() && it->is_object(), file, ": field \"", key, "\": expected an object, found ",
              it == j.end() ? "nothing" : it->dump());
  return *it;
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
  GMAIL_INPUT(j.is_object(), file, ": expected an object, found ", j.type_name());
  ClipConfig c;
  c.projection_dim = size_at(j, "projection_dim", file);
  c.logit_scale_init_value = j.value("logit_scale_init_value", 2.6592);
  const json &vision = section(j, "vision_config", file), &text = section(j, "text_config", file);
  c.vision = tower_from(vision, file + ": vision_config");
  c.text = tower_from(text, file + ": text_config");
  c.image_size = size_at(vision, "image_size", file + ": vision_config");
  c.patch_size = size_at(vision, "patch_size", file + ": vision_config");
  c.vocab_size = size_at(text, "vocab_size", file + ": text_config");
  c.max_position_embeddings = size_at(text, "max_position_embeddings", file + ": text_config");
  return c;
}

json ClipConfig::to_json() const {
  json vision_json = tower_to(vision), text_json = tower_to(text);
  vision_json["image_size"] = image_size;
  vision_json["patch_size"] = patch_size;
  text_json["vocab_size"] = vocab_size;
  text_json["max_position_embeddings"] = max_position_embeddings;
  return {{"model_type", "clip"},
          {"projection_dim", projection_dim},
          {"logit_scale_init_value", logit_scale_init_value},
          {"vision_config", vision_json},
          {"text_config", text_json}};
}

}  // namespace gmail

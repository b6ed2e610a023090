// open_clip's description of a model [mlfoundations/open_clip: src/open_clip/model.py, CLIPVisionCfg and
// CLIPTextCfg].
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/json.h"
#include "models/clip_forms.h"

namespace gmail {
namespace {

using nlohmann::json;

// The keys of one section: what was read is crossed off, and what is left over must be without effect.
class Section {
 public:
  Section(const json& object, std::string where) : left_(object), where_(std::move(where)) {
    GMAIL_INPUT(left_.is_object(), where_, ": expected an object, found ", describe(left_));
  }
  int64_t size(const char* key, int64_t absent) {
    const json value = take(key);
    if (value.is_null()) return absent;
    const bool pair = value.is_array() && value.size() == 2 && value[0] == value[1];
    const json& one = pair ? value[0] : value;
    GMAIL_INPUT(one.is_number_integer() && one.get<int64_t>() > 0 && one.get<int64_t>() < (int64_t{1} << 31),
                where_, ": field \"", key, "\": expected a positive integer, found ", describe(value));
    return one.get<int64_t>();
  }
  double number(const char* key, double absent) {
    const json value = take(key);
    if (value.is_null()) return absent;
    GMAIL_INPUT(value.is_number() && value.get<double>() > 0, where_, ": field \"", key,
                "\": expected a positive number, found ", describe(value));
    return value.get<double>();
  }
  bool flag(const char* key) {
    const json value = take(key);
    GMAIL_INPUT(value.is_null() || value.is_boolean(), where_, ": field \"", key,
                "\": expected true or false, found ", describe(value));
    return value.is_boolean() && value.get<bool>();
  }
  json take(const char* key) {
    const json value = left_.contains(key) ? left_[key] : json();
    left_.erase(key);
    return value;
  }
  // Training and initialisation alone.
  void skip(std::initializer_list<const char*> keys) {
    for (const char* key : keys) left_.erase(key);
  }
  // `key` may be there with open_clip's default `value`.
  void expect(const char* key, const json& value) {
    const json found = take(key);
    GMAIL_INPUT(found.is_null() || found == value, where_, ": field \"", key, "\": expected ", value.dump(),
                ", found ", describe(found));
  }
  // What remains changes the model unless it is off.
  void finish() {
    for (const auto& [key, value] : left_.items())
      GMAIL_INPUT(value.is_null() || value == json(false) || (value.is_structured() && value.empty()), where_,
                  ": field \"", key, "\": ", describe(value), " is not supported");
  }

 private:
  json left_;
  std::string where_;
};

int64_t mlp_width(int64_t width, double ratio) {
  return static_cast<int64_t>(static_cast<double>(width) * ratio);
}

// The ratio as open_clip multiplies it again.
double mlp_ratio(const TowerConfig& c) {
  const double ratio = static_cast<double>(c.intermediate_size) / static_cast<double>(c.hidden_size);
  GMAIL_INPUT(mlp_width(c.hidden_size, ratio) == c.intermediate_size, "open_clip has no MLP of ",
              c.intermediate_size, " for a width of ", c.hidden_size);
  return ratio;
}

TowerConfig checked(TowerConfig c, const std::string& where) {
  GMAIL_INPUT(c.num_attention_heads > 0 && c.hidden_size % c.num_attention_heads == 0, where, ": ",
              c.num_attention_heads, " heads do not divide width ", c.hidden_size);
  return c;
}

void read_vision(ClipConfig& c, const json& object, const std::string& where, Activation act) {
  Section s(object, where);
  const int64_t width = s.size("width", 768), head = s.size("head_width", 64), layers = s.size("layers", 12);
  c.vision = checked(
      {width, mlp_width(width, s.number("mlp_ratio", 4)), layers, static_cast<int>(width / head), act, 1e-5},
      where);
  c.image_size = s.size("image_size", 224);
  c.patch_size = s.size("patch_size", 16);
  s.expect("pos_embed_type", "learnable");
  s.expect("pool_type", "tok");
  s.expect("block_type", "default");
  s.skip({"patch_dropout", "attn_pooler_queries", "attn_pooler_heads", "output_tokens", "timm_pool",
          "timm_proj", "timm_drop", "timm_drop_path", "timm_model_pretrained"});
  s.finish();
}

void read_text(ClipConfig& c, const json& object, const std::string& where, Activation act, int64_t context) {
  Section s(object, where);
  const int64_t width = s.size("width", 512), heads = s.size("heads", 8), layers = s.size("layers", 12);
  c.text = checked(
      {width, mlp_width(width, s.number("mlp_ratio", 4)), layers, static_cast<int>(heads), act, 1e-5}, where);
  c.max_position_embeddings = s.size("context_length", context);
  c.vocab_size = s.size("vocab_size", 49408);
  s.expect("pool_type", "argmax");
  s.expect("proj_type", "linear");
  s.expect("block_type", "default");
  s.skip({"hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs", "pad_id", "eos_id", "output_tokens",
          "hf_model_pretrained", "hf_proj_type", "hf_pooler_type"});
  s.finish();
}

}  // namespace

ClipConfig open_clip_config(const json& j, const std::string& file, int64_t context) {
  GMAIL_INPUT(j.is_object() && j.contains("model_cfg"), file,
              ": field \"model_cfg\": expected an object, found ", j.is_object() ? "nothing" : describe(j));
  const std::string where = file + ": model_cfg";
  Section s(j["model_cfg"], where);
  ClipConfig c;
  c.projection_dim = s.size("embed_dim", 512);
  const Activation act = s.flag("quick_gelu") ? Activation::quick_gelu : Activation::gelu_erf;
  const json vision = s.take("vision_cfg"), text = s.take("text_cfg");
  read_vision(c, vision, where + ".vision_cfg", act);
  read_text(c, text, where + ".text_cfg", act, context);
  const json scale = s.take("init_logit_scale");
  if (scale.is_number()) c.logit_scale_init_value = scale.get<double>();
  s.finish();
  return c;
}

json open_clip_json(const ClipConfig& c, int64_t end) {
  const bool quick = c.vision.hidden_act == Activation::quick_gelu;
  GMAIL_INPUT(
      c.vision.hidden_act == c.text.hidden_act && (quick || c.vision.hidden_act == Activation::gelu_erf),
      "open_clip has quick_gelu or gelu for both towers, the model ", name_of(c.vision.hidden_act), " and ",
      name_of(c.text.hidden_act));
  for (const double eps : {c.vision.layer_norm_eps, c.text.layer_norm_eps})
    GMAIL_INPUT(eps == 1e-5, "open_clip's layer_norm_eps is 1e-05, the model's ", eps);
  const bool largest = !c.eos_token_id || *c.eos_token_id == 2 || *c.eos_token_id == end;
  GMAIL_INPUT(largest, "open_clip takes a text's row at its largest id, the model at eos_token_id ",
              c.eos_token_id.value_or(0), ", which is not the last token, ", end);
  const auto width = c.vision.hidden_size;
  return {{"embed_dim", c.projection_dim},
          {"quick_gelu", quick},
          {"init_logit_scale", c.logit_scale_init_value},
          {"vision_cfg",
           {{"image_size", c.image_size},
            {"layers", c.vision.num_hidden_layers},
            {"width", width},
            {"head_width", width / c.vision.num_attention_heads},
            {"mlp_ratio", mlp_ratio(c.vision)},
            {"patch_size", c.patch_size}}},
          {"text_cfg",
           {{"context_length", c.max_position_embeddings},
            {"vocab_size", c.vocab_size},
            {"width", c.text.hidden_size},
            {"heads", c.text.num_attention_heads},
            {"layers", c.text.num_hidden_layers},
            {"mlp_ratio", mlp_ratio(c.text)}}}};
}

}  // namespace gmail

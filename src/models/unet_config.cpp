#include <nlohmann/json.hpp>

#include "models/unet.h"

namespace gmail {
namespace {

using nlohmann::json;

// json[key] as a T; an error names the file, the key, what was expected and what was found
template <class T>
T field(const json& j, const std::string& file, const char* key, const char* expected) {
  const auto it = j.find(key);
  GMAIL_INPUT(it != j.end(), file, ": field \"", key, "\": expected ", expected, ", found nothing");
  try {
    return it->get<T>();
  } catch (const json::exception&) {
    throw InputError(concat(file, ": field \"", key, "\": expected ", expected, ", found ", it->dump()));
  }
}

}  // namespace

UnetConfig UnetConfig::from_json(const json& j, const std::string& file) {
  GMAIL_INPUT(j.is_object(), file, ": expected an object, found ", j.type_name());
  UnetConfig c;
  c.sample_size = field<int64_t>(j, file, "sample_size", "a positive integer");
  c.in_channels = field<int64_t>(j, file, "in_channels", "a positive integer");
  c.out_channels = field<int64_t>(j, file, "out_channels", "a positive integer");
  c.layers_per_block = field<int64_t>(j, file, "layers_per_block", "a positive integer");
  c.cross_attention_dim = field<int64_t>(j, file, "cross_attention_dim", "a positive integer");
  c.block_out_channels = field<std::vector<int64_t>>(j, file, "block_out_channels", "a list of integers");
  c.attention_head_dim = field<std::vector<int64_t>>(j, file, "attention_head_dim", "a list of integers");
  for (const auto& type : field<std::vector<std::string>>(j, file, "down_block_types", "a list of strings")) {
    GMAIL_INPUT(type == "CrossAttnDownBlock2D" || type == "DownBlock2D", file,
                ": field \"down_block_types\": expected CrossAttnDownBlock2D or DownBlock2D, found ", type);
    c.down_attention.push_back(type == "CrossAttnDownBlock2D");
  }
  c.norm_num_groups = j.value("norm_num_groups", 32);
  c.norm_eps = j.value("norm_eps", 1e-5);
  c.pooled_dim = j.value("projection_class_embeddings_input_dim", int64_t{0});
  c.pixel_unshuffle = j.value("pixel_unshuffle", 1);
  for (const int64_t size : {c.sample_size, c.in_channels, c.out_channels, c.layers_per_block,
                             c.cross_attention_dim, int64_t{c.norm_num_groups}, int64_t{c.pixel_unshuffle}})
    GMAIL_INPUT(size > 0, file, ": sizes must be positive, found ", size);
  return c;
}

json UnetConfig::to_json() const {
  json down = json::array(), up = json::array();
  for (size_t i = 0; i < down_attention.size(); ++i) {
    down.push_back(down_attention[i] ? "CrossAttnDownBlock2D" : "DownBlock2D");
    up.push_back(down_attention[down_attention.size() - 1 - i] ? "CrossAttnUpBlock2D" : "UpBlock2D");
  }
  json j{{"_class_name", "UNet2DConditionModel"},
         {"sample_size", sample_size},
         {"in_channels", in_channels},
         {"out_channels", out_channels},
         {"layers_per_block", layers_per_block},
         {"cross_attention_dim", cross_attention_dim},
         {"block_out_channels", block_out_channels},
         {"attention_head_dim", attention_head_dim},
         {"down_block_types", down},
         {"up_block_types", up},
         {"norm_num_groups", norm_num_groups},
         {"norm_eps", norm_eps},
         {"act_fn", "silu"},
         {"use_linear_projection", true},
         {"flip_sin_to_cos", true},
         {"freq_shift", 0},
         {"pixel_unshuffle", pixel_unshuffle}};
  if (pooled_dim > 0) {
    j["class_embed_type"] = "simple_projection";
    j["projection_class_embeddings_input_dim"] = pooled_dim;
  }
  return j;
}

}  // namespace gmail

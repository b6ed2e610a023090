// What a captioner is, for training and for inference alike: config.json of its folder, GPT-2's fields and
// beside them
//   mapper            "mlp" | "transformer"
//   clip_dim          numbers of an image embedding, E
//   prefix_length     vectors that it becomes, k
//   clip_length, mapper_layers, mapper_heads   of the transformer mapper (clipcap_mapper.h)
//   normalize_prefix  embeddings are divided by their norm first
//   end_id            the token that ends a caption
//   released          trained by the loss of the original's code, which knows no end token (clipcap.h, eq. 3)
#pragma once

#include "models/gpt2.h"

namespace gmail {

enum class MapperKind : uint8_t { mlp, transformer };
[[nodiscard]] std::string name_of(MapperKind kind);  // "mlp"
// InputError that begins with `where` for any other name
[[nodiscard]] MapperKind mapper_from(const std::string& name, const std::string& where);

struct ClipCapConfig {
  MapperKind mapper = MapperKind::mlp;
  int64_t clip_dim = 0, prefix_length = 10;
  int64_t clip_length = 10, mapper_layers = 8;  // transformer
  int mapper_heads = 8;                         // transformer
  bool normalize_prefix = false;
  int32_t end_id = 0;
  bool released = false;
  Gpt2Config gpt;
  // Without "mapper" it is an MLP, as in folders of old. InputError names the field and what it must be.
  [[nodiscard]] static ClipCapConfig from_json(const nlohmann::json& json, const std::string& file);
  [[nodiscard]] nlohmann::json to_json() const;
};

}  // namespace gmail

#include "models/clip_forms.h"

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

namespace gmail {
namespace {

using Renamed = std::pair<std::string_view, std::string_view>;  // Hugging Face's, OpenAI's

constexpr std::string_view kTextLayers = "text_model.encoder.layers.";
constexpr std::string_view kImageLayers = "vision_model.encoder.layers.";

constexpr std::array<Renamed, 9> kOutside{{
    {"text_model.embeddings.token_embedding.weight", "token_embedding.weight"},
    {"text_model.embeddings.position_embedding.weight", "positional_embedding"},
    {"text_model.final_layer_norm.", "ln_final."},
    {"vision_model.embeddings.class_embedding", "visual.class_embedding"},
    {"vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"},
    {"vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"},
    {"vision_model.pre_layrnorm.", "visual.ln_pre."},
    {"vision_model.post_layernorm.", "visual.ln_post."},
    {"logit_scale", "logit_scale"},
}};

constexpr std::array<Renamed, 5> kInBlock{{
    {"layer_norm1.", "ln_1."},
    {"layer_norm2.", "ln_2."},
    {"self_attn.out_proj.", "attn.out_proj."},
    {"mlp.fc1.", "mlp.c_fc."},
    {"mlp.fc2.", "mlp.c_proj."},
}};

// `name` with its beginning, if it is one of the table's, renamed; "" if none fits
template <size_t N>
std::string renamed(const std::array<Renamed, N>& table, std::string_view name) {
  for (const auto& [from, to] : table)
    if (name.starts_with(from)) return std::string(to) + std::string(name.substr(from.size()));
  return "";
}

// rest: "N.self_attn.q_proj.weight", what follows the tower's prefix
Place place_in_block(const std::string& prefix, std::string_view rest) {
  const size_t dot = rest.find('.');
  const std::string block = prefix + std::string(rest.substr(0, dot + 1));
  const std::string_view inner = rest.substr(dot + 1);
  constexpr std::array<std::string_view, 3> kParts{"self_attn.q_proj.", "self_attn.k_proj.",
                                                   "self_attn.v_proj."};
  for (size_t part = 0; part < kParts.size(); ++part)
    if (inner.starts_with(kParts[part]))
      return {block + "attn.in_proj_" + std::string(inner.substr(kParts[part].size())),
              static_cast<int64_t>(part), 3, false};
  const std::string name = renamed(kInBlock, inner);
  GMAIL_CHECK(!name.empty(), "[clip] no other name for ", inner);
  return {block + name};
}

// How many blocks there are whose names begin with `prefix`.
int64_t count_blocks(const TensorFiles& file, const std::string& prefix) {
  int64_t n = 0;
  while (file.has(concat(prefix, n, ".ln_1.weight"))) ++n;
  return n;
}

// The shape of a tensor that must be there.
Shape shape_of(const TensorFiles& file, const std::string& name, int rank) {
  GMAIL_INPUT(file.has(name) && file.shape(name).rank() == rank, file.path().string(),
              ": the sizes are read off the tensors, but there is no ", name, " of ", rank,
              " dimensions (and no config.json or open_clip_config.json beside it)");
  return file.shape(name);
}

}  // namespace

ClipForm clip_form_of(const std::string& word) {
  if (word == "hf") return ClipForm::hf;
  if (word == "openai") return ClipForm::openai;
  GMAIL_INPUT(word == "open_clip", "expected hf, openai or open_clip, found \"", word, "\"");
  return ClipForm::open_clip;
}

Place openai_place(const std::string& name) {
  if (name == "text_projection.weight") return {"text_projection", 0, 1, true};
  if (name == "visual_projection.weight") return {"visual.proj", 0, 1, true};
  if (name.starts_with(kTextLayers))
    return place_in_block("transformer.resblocks.", std::string_view(name).substr(kTextLayers.size()));
  if (name.starts_with(kImageLayers))
    return place_in_block("visual.transformer.resblocks.",
                          std::string_view(name).substr(kImageLayers.size()));
  const std::string other = renamed(kOutside, name);
  GMAIL_CHECK(!other.empty(), "[clip] no other name for ", name);
  return {other};
}

bool has_openai_names(const TensorFiles& file) {
  return file.has("visual.class_embedding") || file.has("visual.conv1.weight") ||
         file.has("token_embedding.weight");
}

Places clip_places(bool openai_names) {
  if (openai_names) return [](const Param& p) { return openai_place(p.name); };
  return [](const Param& p) { return Place{p.name}; };
}

bool is_clip_extra(const std::string& name) {
  return name == "text_model.embeddings.position_ids" || name == "vision_model.embeddings.position_ids" ||
         name == "input_resolution" || name == "context_length" || name == "vocab_size";
}

ClipConfig config_from_shapes(const TensorFiles& file, Activation hidden_act) {
  constexpr int64_t kHead = 64;
  GMAIL_INPUT(has_openai_names(file), file.path().string(),
              ": the sizes can be read off the tensors only where they have OpenAI's names; expected a "
              "config.json beside it");
  ClipConfig c;
  const Shape tokens = shape_of(file, "token_embedding.weight", 2);
  const Shape patches = shape_of(file, "visual.conv1.weight", 4);  // (W, 3, P, P)
  const int64_t positions = shape_of(file, "visual.positional_embedding", 2)[0] - 1;
  const auto side = std::llround(std::sqrt(static_cast<double>(positions)));
  GMAIL_INPUT(side > 0 && side * side == positions, file.path().string(),
              ": visual.positional_embedding has ", positions, " patches, which is no square");
  const auto tower = [&](int64_t width, const std::string& blocks) {
    const int64_t inner = shape_of(file, blocks + "0.mlp.c_fc.weight", 2)[0];
    GMAIL_INPUT(width > 0 && width % kHead == 0, file.path().string(), ": a width of ", width,
                " has no heads of ", kHead);
    return TowerConfig{width,      inner, count_blocks(file, blocks), static_cast<int>(width / kHead),
                       hidden_act, 1e-5};
  };
  c.projection_dim = shape_of(file, "text_projection", 2)[1];
  c.vision = tower(patches[0], "visual.transformer.resblocks.");
  c.text = tower(tokens[1], "transformer.resblocks.");
  c.patch_size = patches[3];
  c.image_size = side * c.patch_size;
  c.vocab_size = tokens[0];
  c.max_position_embeddings = shape_of(file, "positional_embedding", 2)[0];
  return c;
}

}  // namespace gmail

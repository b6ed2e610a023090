// CLIP (Radford et al. 2021, arXiv:2103.00020), exactly as OpenAI's clip/model.py; parameter names as
// Hugging Face's CLIPModel (the misspelt "pre_layrnorm" included). Sizes come from a config.json in Hugging
// Face's form, or from open_clip's (clip_forms.h).
//
//   image tower   patches -> [class token; patches] + positions -> pre-LN -> L blocks -> LN of the class
//     token -> projection
//   text tower    tokens + positions -> L causal blocks -> LN -> row of the end-of-text token -> projection
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "nn/conv.h"
#include "nn/transformer.h"

namespace gmail {

struct TowerConfig {
  int64_t hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
  int num_attention_heads = 0;
  Activation hidden_act = Activation::quick_gelu;
  double layer_norm_eps = 1e-5;
};

struct ClipConfig {
  int64_t projection_dim = 0;
  double logit_scale_init_value = 2.6592;  // ln(1 / 0.07)
  TowerConfig vision, text;
  int64_t image_size = 0, patch_size = 0;
  int64_t vocab_size = 0, max_position_embeddings = 0;
  std::optional<int64_t> eos_token_id;  // of text_config; see text_ends

  // What stands in for a value that the configuration does not give.
  struct Absent {
    std::optional<Activation> hidden_act;  // said by the user; without it a missing hidden_act is an error
    int64_t context = 77;                  // rows of the text tower's position table, where it is known
  };
  // Hugging Face's config.json as transformers reads it: a size that is missing has CLIPConfig's default, and
  // text_config_dict and vision_config_dict, where an old file has them, stand above text_config and
  // vision_config. But hidden_act is never guessed. Errors name `file` and the key.
  [[nodiscard]] static ClipConfig from_json(const nlohmann::json& json, const std::string& file,
                                            const Absent& absent);
  [[nodiscard]] static ClipConfig from_json(const nlohmann::json& json, const std::string& file);
  [[nodiscard]] nlohmann::json to_json() const;
};

// Which row of the text tower is the text's: ids (B, T) int32 -> (B) int32. The first position of
// eos_token_id; if that is absent, or 2 as in old files where it is wrong, the first position of the largest
// id, which is OpenAI's rule. The first position, too, where a row has no such token. As transformers'
// CLIPTextTransformer.
[[nodiscard]] Tensor text_ends(const ClipConfig& config, const Tensor& ids);

// "quick_gelu" | "gelu" <-> Activation
[[nodiscard]] Activation activation_of(const std::string& name, const std::string& where);
[[nodiscard]] std::string name_of(Activation kind);

struct ImageTower {
  Param class_embedding;     // (W)
  Conv patch_embedding;      // (W, 3, P, P), no bias
  Param position_embedding;  // (1 + patches, W)
  LayerNorm pre_layrnorm, post_layernorm;
  std::vector<Block> layers;
  Linear visual_projection;    // (E, W), no bias
  bool checkpointing = false;  // each block's activations are computed again in the backward pass

  ImageTower() = default;
  explicit ImageTower(const ClipConfig& config);
  // images (B, S, S, 3), normalised -> class token after the last LayerNorm (B, W). Nothing else leaves the
  // tower, so the last block runs on that token alone; its keys and values come from all.
  [[nodiscard]] Var features(Tape& tape, const Var& images);
  // images -> embeddings after the projection, before normalisation (B, E)
  [[nodiscard]] Var encode(Tape& tape, const Var& images);
  void collect(ParamList& params);
  void each_linear(const std::function<void(Linear&)>& f);  // those of the blocks
  void init(uint64_t seed);
};

// Token rows for the text tower. ids (B, T) int32: start, words, end, zeros; end (B) int32: the end token's
// position.
struct TextInput {
  Tensor ids, end;
  Tensor mask = {};                       // key_mask(), where it was put on a device
  [[nodiscard]] Tensor key_mask() const;  // (B, T) int32: 1 up to and including the end token
  [[nodiscard]] TextInput rows(int64_t first, int64_t past) const;
  void put(const Context& ctx, const TextInput& text);  // `text` here, see Context::put
};
// Trims the padding columns that no row uses: causal attention makes the result the same.
[[nodiscard]] TextInput make_text_input(const Tensor& ids, const Tensor& end);

struct TextTower {
  Param token_embedding, position_embedding;  // (V, W), (T, W)
  std::vector<Block> layers;
  LayerNorm final_layer_norm;
  Linear text_projection;  // (E, W), no bias
  bool checkpointing = false;

  TextTower() = default;
  explicit TextTower(const ClipConfig& config);
  [[nodiscard]] Var embed(Tape& tape, const TextInput& text);   // (B, T, W), what the blocks begin with
  [[nodiscard]] Var tokens(Tape& tape, const TextInput& text);  // (B, T, W), after the last LayerNorm
  [[nodiscard]] Var pooled(Tape& tape, const Var& tokens,
                           const TextInput& text);                // (B, W): the end token's row
  [[nodiscard]] Var features(Tape& tape, const TextInput& text);  // pooled(tokens) for less work: the last
                                                                  // block runs on the end token alone
  [[nodiscard]] Var encode(Tape& tape, const TextInput& text);    // (B, E), before normalisation
  void collect(ParamList& params);
  void each_linear(const std::function<void(Linear&)>& f);
  void init(uint64_t seed);
};

struct Clip {
  ClipConfig config;
  ImageTower image;
  TextTower text;
  Param logit_scale;  // scalar: ln(1 / tau)

  Clip() = default;
  explicit Clip(const ClipConfig& clip_config);
  void init(uint64_t seed);
  [[nodiscard]] ParamList params();
};

}  // namespace gmail

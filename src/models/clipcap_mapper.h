// The mappers of ClipCap (Mokady et al. 2021, arXiv:2111.09734): an image embedding e (E) becomes a prefix of
// k vectors of the language model's width C.
//   (1)  MLP           prefix = reshape(W2 tanh(W1 e + b1) + b2, (k, C)),  W1 (C k / 2, E), W2 (C k, C k / 2)
//   (2)  transformer   x = [reshape(W e + b, (m, C)); c_1 .. c_k],   c learned constants,   m = clip_length
//                      N times: x <- x + P attention(Q n, K n, V n) + p,   n = norm1(x)
//                               x <- x + F2 relu(F1 norm2(x) + f1) + f2,   F1 (2 C, C)
//                      prefix = the last k of the m + k vectors
// No mask, no last norm; Q, K and V have no bias, and K and V are one matrix (2 C, C), K first. Names are the
// original's: clip_project.model.0 and .2; clip_project.linear, prefix_const and transformer.layers.N.{norm1,
// norm2, attn.to_queries, attn.to_keys_values, attn.project, mlp.fc1, mlp.fc2}.
#pragma once

#include <variant>

#include "models/clipcap_config.h"

namespace gmail {

struct MlpMapper {
  Linear in, out;
  explicit MlpMapper(const ClipCapConfig& config);
  [[nodiscard]] Var forward(Tape& tape, const Var& e);  // (B, E) -> (B, k C)
  void collect(ParamList& params);
  void init(uint64_t seed);
};

struct MapperBlock {
  LayerNorm norm1, norm2;
  Linear to_queries, to_keys_values, project, fc1, fc2;
  int heads = 1;
  MapperBlock(const std::string& name, int64_t width, int head_count);
  [[nodiscard]] Var forward(Tape& tape, const Var& x);  // (B, T, C)
  void each_linear(const std::function<void(Linear&)>& f);
  void collect(ParamList& params);
};

struct TransformerMapper {
  Linear linear;
  Param prefix_const;  // (k, C)
  std::vector<MapperBlock> layers;
  int64_t clip_length = 0;
  explicit TransformerMapper(const ClipCapConfig& config);
  [[nodiscard]] Var forward(Tape& tape, const Var& e);  // (B, E) -> (B, k, C)
  void collect(ParamList& params);
  void init(uint64_t seed);
};

// PyTorch's defaults for the matrices, N(0, 1) for the constants.
using Mapper = std::variant<MlpMapper, TransformerMapper>;
[[nodiscard]] Mapper make_mapper(const ClipCapConfig& config);

}  // namespace gmail

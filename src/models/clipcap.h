// ClipCap (Mokady et al. 2021, arXiv:2111.09734): an image embedding becomes a prefix of k vectors, and a
// language model continues it with the caption.
//   (1)  prefix = reshape(W2 tanh(W1 e + b1) + b2, (k, C))          the MLP mapper, clip_project.model.0 and
//     .2
//   (2)  L = -1/n sum over caption tokens of log p(w_i | prefix, w_<i),   the end token is the last target
// Inputs are [prefix; w_1 .. w_n]; the logits at positions k-1 .. k+n-1 predict w_1 .. w_n, end.
#pragma once

#include "models/gpt2.h"

namespace gmail {

struct ClipCapConfig {
  int64_t clip_dim = 0, prefix_length = 10;
  bool normalize_prefix =
      false;  // divide the embedding by its norm first; the same in training and inference
  int32_t end_id = 0;
  Gpt2Config gpt;
  [[nodiscard]] static ClipCapConfig from_json(const nlohmann::json& json, const std::string& file);
  [[nodiscard]] nlohmann::json to_json() const;
};

struct DecodeOptions {
  int beams = 1;  // 1: greedy
  int64_t min_length = 0, max_length = 32;
  bool cuda_graph = false;  // on a GPU: a step is recorded once and launched as one: the same bits
};

// The captions of a batch as the model reads them, int32.
struct CaptionBatch {
  Tensor ids;            // (B, T) w_1 .. w_n, then filler that no loss sees
  Tensor targets, mask;  // (B (T + 1)) w_1 .. w_n, end; 1 where there is one
  void put(const Context& ctx, const CaptionBatch& batch);  // `batch` here, see Context::put
};

struct Decoded {
  std::vector<int32_t> tokens;  // without the end token
  double logprob = 0;           // sum over the tokens and the end token
};

struct ClipCap {
  ClipCapConfig config;
  Linear mapper_in, mapper_out;
  Gpt2 gpt;

  ClipCap() = default;
  explicit ClipCap(const ClipCapConfig& clipcap_config);
  void init(uint64_t seed);
  [[nodiscard]] ParamList params();

  [[nodiscard]] Var prefix(Tape& tape, const Var& embeddings);  // (B, clip_dim) -> (B, k, C), eq. (1)
  // captions: token ids without specials
  [[nodiscard]] CaptionBatch batch(const std::vector<std::vector<int32_t>>& captions) const;
  // mean over all caption tokens and end tokens of the batch, eq. (2)
  [[nodiscard]] Var loss(Tape& tape, const Var& embeddings, const CaptionBatch& captions);
  [[nodiscard]] Var loss(Tape& tape, const Var& embeddings,
                         const std::vector<std::vector<int32_t>>& captions);
  // Greedy or beam search with a key-value cache; finished beams are ranked by logprob / length. Each row's
  // result is independent of the batch it is in.
  [[nodiscard]] std::vector<Decoded> decode(const Context& ctx, const Tensor& embeddings,
                                            const DecodeOptions& options);
  // the same from prefixes (B, k, C)
  [[nodiscard]] std::vector<Decoded> decode_prefix(const Context& ctx, const Tensor& prefixes,
                                                   const DecodeOptions& options);
};

}  // namespace gmail

// ClipCap (Mokady et al. 2021, arXiv:2111.09734): an image embedding becomes a prefix of k vectors, and a
// language model continues it with the caption.
//   (1)  prefix = mapper(e)   (k, C)                                                       clipcap_mapper.h
//   (2)  L = -1/n sum over caption tokens of log p(w_i | prefix, w_<i),   the end token is the last target
//   (3)  released: the sum is over the caption tokens with w_i != 0 alone, as the original's code pads with 0
//        and ignores it; nothing says where a caption ends
// Inputs are [prefix; w_1 .. w_n]; the logits at positions k-1 .. k+n-1 predict w_1 .. w_n, end.
#pragma once

#include "models/caption_search.h"
#include "models/clipcap_mapper.h"

namespace gmail {

// The captions of a batch as the model reads them, int32.
struct CaptionBatch {
  Tensor ids;            // (B, T) w_1 .. w_n, then filler that no loss sees
  Tensor targets, mask;  // (B (T + 1)) w_1 .. w_n, end; 1 where one counts, eq. (2) or (3)
  void put(const Context& ctx, const CaptionBatch& batch);  // `batch` here, see Context::put
};

struct ClipCap {
  ClipCapConfig config;
  Mapper mapper;
  Gpt2 gpt;

  explicit ClipCap(const ClipCapConfig& clipcap_config);
  ClipCap(const ClipCapConfig& clipcap_config, Gpt2 decoder);  // config.gpt becomes the decoder's
  void init(uint64_t seed);
  void init_mapper(uint64_t seed);
  [[nodiscard]] ParamList params();  // the mapper's first

  [[nodiscard]] Var prefix(Tape& tape, const Var& embeddings);  // (B, clip_dim) -> (B, k, C), eq. (1)
  // captions: token ids without specials
  [[nodiscard]] CaptionBatch batch(const std::vector<std::vector<int32_t>>& captions) const;
  // mean over all caption tokens and end tokens of the batch, eq. (2), or of eq. (3); the key is of GPT-2's
  // dropout, if it has any
  [[nodiscard]] Var loss(Tape& tape, const Var& embeddings, const CaptionBatch& captions,
                         const DropoutKey& key = {});
  [[nodiscard]] Var loss(Tape& tape, const Var& embeddings,
                         const std::vector<std::vector<int32_t>>& captions);
  // A caption for each row by a rule of models/caption_search.h. A row's result is independent of the batch
  // that it is in and of its place there.
  [[nodiscard]] std::vector<Decoded> decode(const Context& ctx, const Tensor& embeddings,
                                            const DecodeOptions& options);
  // the same from prefixes (B, k, C)
  [[nodiscard]] std::vector<Decoded> decode_prefix(const Context& ctx, const Tensor& prefixes,
                                                   const DecodeOptions& options);
};

}  // namespace gmail

// Stage B: downstream training on image embeddings that are fixed, f_g(x_g) in GMAIL's case. Each task sees
// rows of (embedding, caption) and no images, so the arms of a comparison differ in the embeddings alone.
//
//   captioning ClipCap on prefix = mapping(f_g(x_g)), cross entropy on y           (models/clipcap.h, eq. 2)
//   retrieval  the text tower h learns by the symmetric contrastive loss between f_g(x_g) and h(y), f_g fixed
//              (App. C: small D(f_r(x_r), h(y)) and D(f_g(x_g), h(y)))            (ops/contrastive.h, eq. 2)
#pragma once

#include <optional>

#include "gmail/model_folder.h"
#include "models/clipcap.h"
#include "train/trainer.h"

namespace gmail {

// Row i: the embedding of an image and a caption of it.
struct EmbeddedPairs {
  Tensor embeddings;  // (N, E), before normalisation
  std::vector<std::string> captions;
};

// What of a captioner learns. mapper: GPT-2 is frozen, no gradient of a weight of it is computed. lora: the
// mapper and LoRA updates of GPT-2's matrices, which are merged into them at the end.
enum class Trained : uint8_t { all, mapper, lora };
[[nodiscard]] Trained trained_from(const std::string& name, const std::string& where);

struct CaptionerOptions {
  ClipCapConfig model;  // clip_dim, vocab and end_id are filled in from the data and tokenizer
  std::filesystem::path
      decoder;  // GPT-2's folder; "": one of model.gpt's sizes, from scratch, all of it trained
  Trained trained = Trained::all;
  int64_t lora_rank = 8;
  double lora_alpha = 16;  // the update is scaled by alpha / rank
  bool lora_mlp = false;   // of mlp.c_fc and mlp.c_proj too, not of attn.c_attn and attn.c_proj alone
  double dropout = 0;      // of GPT-2 while it is trained, see Gpt2Config; not with train.cuda_graph
  int64_t max_tokens = 0;  // longer captions are cut; 0: at the last position of the decoder
  int64_t batch = 64;
  TrainOptions train;
};
// Writes config.json, model.safetensors, vocab.json, merges.txt into options.train.out. model.released needs
// a vocabulary in which "." is the token 13, GPT-2's: its rule of decoding stops there.
TrainReport train_captioner(const Context& ctx, const Tokenizer& tokenizer, const EmbeddedPairs& data,
                            const CaptionerOptions& options);

// Does a file there belong to a tokenizer (data/tokenizer.h)?
[[nodiscard]] bool has_vocabulary(const std::filesystem::path& folder);

struct Captioner {
  ClipCap model;
  std::optional<Tokenizer> tokenizer;  // absent where the folder holds no vocabulary: token ids, no text
  [[nodiscard]] static Captioner load(const std::filesystem::path& folder, Device device = Device::cpu);
  // one caption for each row of embeddings (N, E); InputError without a tokenizer
  [[nodiscard]] std::vector<std::string> caption(const Context& ctx, const Tensor& embeddings,
                                                 const DecodeOptions& options);
};

struct TextTuningOptions {
  int64_t lora_rank = 4;  // 0: every weight of the text tower is trained
  double lora_alpha = 4;
  int64_t batch = 128;
  bool mask_duplicates = true;
  TrainOptions train;
};
// Trains h on the pairs and writes a whole CLIP folder (image tower unchanged, LoRA merged) into
// options.train.out.
TrainReport finetune_text(const Context& ctx, const std::filesystem::path& base, const EmbeddedPairs& data,
                          const TextTuningOptions& options);

}  // namespace gmail

// GPT-2's decoder (Radford et al. 2019), any size: tokens + positions -> L causal pre-LN blocks -> LN ->
// logits by the token table (tied head). Parameter names as Hugging Face's GPT2LMHeadModel without
// "transformer."; weights are kept (out, in) and written transposed, as GPT-2's Conv1D stores them (see
// Param::transposed).
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "io/tensor_files.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace gmail {

// What the model cannot do is refused by name: another activation or width of the MLP, cross-attention, a
// head of its own, attention scaled by layer.
struct Gpt2Config {
  int64_t vocab_size = 0, n_positions = 0, n_embd = 0, n_layer = 0;
  int n_head = 0;
  double layer_norm_epsilon = 1e-5;
  double dropout = 0;  // in training, of the embedded inputs and of what each block adds; not in config.json
  [[nodiscard]] static Gpt2Config from_json(const nlohmann::json& json, const std::string& file);
  [[nodiscard]] nlohmann::json to_json() const;
};

// Keys and values of the tokens seen so far, one pair a layer: (B, t, C). Inference only.
struct KvCache {
  std::vector<Tensor> k, v;
  [[nodiscard]] int64_t length() const { return k.empty() || !k.front() ? 0 : k.front().size(1); }
  // the rows `source` (n) of every entry, in that order: beams move, images drop out
  [[nodiscard]] KvCache select(Tape& tape, const std::vector<int64_t>& source) const;
};

// Where a block's new keys and values (B, T, C) go: it makes of them those that the queries see, and says by
// what mask.
using Remember = std::function<AttentionMask(Var& k, Var& v)>;

struct Gpt2Block {
  LayerNorm ln_1, ln_2;
  Linear c_attn, c_proj, mlp_c_fc, mlp_c_proj;
  int heads = 1;
  Gpt2Block() = default;
  Gpt2Block(const std::string& name, const Gpt2Config& config);
  // x (B, T, C); dropout has two numbers for this block, key.index and the next
  [[nodiscard]] Var forward(Tape& tape, const Var& x, const Remember& remember, double dropout_p = 0,
                            const DropoutKey& key = {});
  void collect(ParamList& params);
  void each_linear(const std::function<void(Linear&)>& f);
};

struct Gpt2 {
  Gpt2Config config;
  Param wte, wpe;  // (V, C), (positions, C)
  std::vector<Gpt2Block> h;
  LayerNorm ln_f;

  Gpt2() = default;
  explicit Gpt2(const Gpt2Config& gpt2_config);
  // A Hugging Face folder, config.json and model.safetensors or its shards: names with or without
  // "transformer.", lm_head.weight absent or equal to wte.weight, the mask buffers of old files left out. The
  // weights are frozen.
  [[nodiscard]] static Gpt2 load(const std::filesystem::path& folder, Device device = Device::cpu);
  [[nodiscard]] Var embed(Tape& tape, const Tensor& ids);  // (B, T) int32 -> (B, T, C), without positions
  // embedded inputs (B, T, C) at positions cache length .. -> hidden states after ln_f (B, T, C)
  [[nodiscard]] Var hidden(Tape& tape, const Var& embedded, KvCache* cache = nullptr,
                           const DropoutKey& key = {});
  [[nodiscard]] Var logits(Tape& tape, const Var& hidden);  // (..., C) -> (..., V)
  void init(uint64_t seed);  // N(0, 0.02), residual ends N(0, 0.02 / sqrt(2 L))
  void collect(ParamList& params);
  void each_linear(const std::function<void(Linear&)>& f);  // of all blocks
};

// For who reads GPT-2 under another prefix. Is it h.N.attn.bias or h.N.attn.masked_bias, the causal mask that
// old programs saved with the weights?
[[nodiscard]] bool is_gpt2_mask(std::string name);
// InputError if there is a head of its own, different from the token table
void check_tied(const TensorFiles& files, const std::string& head, const std::string& table);

}  // namespace gmail

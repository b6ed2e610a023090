#include "models/gpt2.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/json.h"
#include "nn/param_file.h"

namespace gmail {

Gpt2Config Gpt2Config::from_json(const nlohmann::json& j, const std::string& file) {
  Gpt2Config c;
  const auto size = [&](const char* key) {
    constexpr int64_t kMost = int64_t{1} << 24U;  // beyond any model; products of two stay whole
    GMAIL_INPUT(j.contains(key) && j[key].is_number_integer() && j[key] > 0 && j[key] <= kMost, file,
                ": field \"", key, "\": expected a positive integer, found ",
                j.contains(key) ? j[key].dump() : "nothing");
    return j[key].get<int64_t>();
  };
  c.vocab_size = size("vocab_size");
  c.n_positions = size("n_positions");
  c.n_embd = size("n_embd");
  c.n_layer = size("n_layer");
  c.n_head = static_cast<int>(size("n_head"));
  // optional fields, and what they must be
  const auto must = [&](const char* key, bool right, const auto& expected) {
    GMAIL_INPUT(!j.contains(key) || right, file, ": field \"", key, "\": expected ", expected, ", found ",
                j[key].dump());
  };
  const auto is = [&](const char* key, const nlohmann::json& value) {
    must(key, j.contains(key) && j[key] == value, value.dump());
  };
  const auto among = [&](const char* key, const nlohmann::json& values) {
    const bool right = j.contains(key) && std::find(values.begin(), values.end(), j[key]) != values.end();
    must(key, right, "one of " + values.dump());
  };
  among("activation_function", {"gelu_new", "gelu_pytorch_tanh"});
  among("n_inner", {nullptr, 4 * c.n_embd});
  is("add_cross_attention", false);
  is("tie_word_embeddings", true);
  is("scale_attn_weights", true);
  is("scale_attn_by_inverse_layer_idx", false);
  if (const char* key = "layer_norm_epsilon"; j.contains(key)) {
    must(key, j[key].is_number() && j[key].get<double>() > 0, "a number above zero");
    c.layer_norm_epsilon = j[key].get<double>();
  }
  return c;
}

nlohmann::json Gpt2Config::to_json() const {
  return {{"model_type", "gpt2"},
          {"vocab_size", vocab_size},
          {"n_positions", n_positions},
          {"n_embd", n_embd},
          {"n_layer", n_layer},
          {"n_head", n_head},
          {"layer_norm_epsilon", layer_norm_epsilon}};
}

KvCache KvCache::select(Tape& tape, const std::vector<int64_t>& source) const {
  const auto n = static_cast<int64_t>(source.size());
  const Tensor ids = tape.ctx().here(Tensor::from(std::vector<int32_t>(source.begin(), source.end()), {n}));
  const auto pick = [&](const Tensor& t) {  // a look-up in the table of the old rows
    const Var table(t.reshape({t.size(0), t.numel() / t.size(0)}));
    return embedding(tape, table, ids).value.reshape(t.shape().with(0, n));
  };
  KvCache out;
  for (size_t i = 0; i < k.size(); ++i) {
    out.k.push_back(pick(k[i]));
    out.v.push_back(pick(v[i]));
  }
  return out;
}

Gpt2Block::Gpt2Block(const std::string& name, const Gpt2Config& c)
    : ln_1(name + ".ln_1", c.n_embd, c.layer_norm_epsilon),
      ln_2(name + ".ln_2", c.n_embd, c.layer_norm_epsilon),
      c_attn(name + ".attn.c_attn", c.n_embd, 3 * c.n_embd),
      c_proj(name + ".attn.c_proj", c.n_embd, c.n_embd),
      mlp_c_fc(name + ".mlp.c_fc", c.n_embd, 4 * c.n_embd),
      mlp_c_proj(name + ".mlp.c_proj", 4 * c.n_embd, c.n_embd),
      heads(c.n_head) {
  GMAIL_INPUT(heads >= 1 && c.n_embd % heads == 0, "[gpt2] ", heads, " heads do not divide n_embd ",
              c.n_embd);
  for (Linear* l : {&c_attn, &c_proj, &mlp_c_fc, &mlp_c_proj}) l->weight.transposed = true;
}

namespace {
// cache (B, t, C) absent at first, then the new rows appended
Tensor append(Tape& tape, const Tensor& cache, const Var& rows) {
  return cache ? concat(tape, {Var(cache), rows}, 1).value : rows.value;
}
}  // namespace

Var Gpt2Block::forward(Tape& tape, const Var& x, const Remember& remember, double dropout_p,
                       const DropoutKey& key) {
  const int64_t C = x.size(-1);
  const Var qkv = c_attn.forward(tape, ln_1.forward(tape, x));  // (B, T, 3C)
  const Var q = slice(tape, qkv, 2, 0, C);
  Var k = slice(tape, qkv, 2, C, 2 * C), v = slice(tape, qkv, 2, 2 * C, 3 * C);
  const AttentionMask mask = remember(k, v);
  const Var mixed = attention(tape, q, k, v, heads, mask);
  const auto mlp_of = [&](const Var& attended, const Var& residual) {
    return mlp_forward(tape, mlp_c_fc, mlp_c_proj, ln_2.forward(tape, attended), Activation::gelu_tanh,
                       residual);
  };
  if (dropout_p == 0 || !tape.training()) {  // the products add their residuals
    const Var attended = c_proj.forward(tape, mixed, x);
    return mlp_of(attended, attended);
  }
  const Var attended = add(tape, x, dropout(tape, c_proj.forward(tape, mixed), dropout_p, key));
  const DropoutKey next{key.seed, key.step, key.index + 1};
  return add(tape, attended, dropout(tape, mlp_of(attended, Var()), dropout_p, next));
}

void Gpt2Block::each_linear(const std::function<void(Linear&)>& f) {
  for (Linear* l : {&c_attn, &c_proj, &mlp_c_fc, &mlp_c_proj}) f(*l);
}

void Gpt2Block::collect(ParamList& params) {
  ln_1.collect(params);
  c_attn.collect(params);
  c_proj.collect(params);
  ln_2.collect(params);
  mlp_c_fc.collect(params);
  mlp_c_proj.collect(params);
}

Gpt2::Gpt2(const Gpt2Config& c)
    : config(c),
      wte(make_param("wte.weight", {c.vocab_size, c.n_embd})),
      wpe(make_param("wpe.weight", {c.n_positions, c.n_embd})),
      ln_f("ln_f", c.n_embd, c.layer_norm_epsilon) {
  for (int64_t i = 0; i < c.n_layer; ++i) h.emplace_back("h." + std::to_string(i), c);
}

bool is_gpt2_mask(std::string name) {
  if (!name.starts_with("h.")) return false;
  name.erase(0, name.find_first_not_of("0123456789", 2));
  return name == ".attn.bias" || name == ".attn.masked_bias";
}

void check_tied(const TensorFiles& files, const std::string& head, const std::string& table) {
  if (!files.has(head) || !files.has(table)) return;
  const Tensor a = files.view(head), b = files.view(table);
  GMAIL_INPUT(a.shape() == b.shape() && std::ranges::equal(a.span<float>(), b.span<float>()),
              files.path().string(), ": ", head, " differs from ", table, ": only a tied head is supported");
}

Gpt2 Gpt2::load(const std::filesystem::path& folder, Device device) {
  const std::filesystem::path file = folder / "config.json";
  const nlohmann::json json = read_json(file);
  GMAIL_INPUT(json.is_object(), file.string(), ": expected an object, found ", describe(json));
  Gpt2 model(Gpt2Config::from_json(json, file.string()));
  ParamList params;
  model.collect(params);
  freeze(params);
  TensorFiles files = TensorFiles::open(folder);
  const std::string prefix = files.has("transformer.wte.weight") ? "transformer." : "";
  check_tied(files, "lm_head.weight", prefix + "wte.weight");
  files.leave_out([&](const std::string& name) {
    return name == "lm_head.weight" || (name.starts_with(prefix) && is_gpt2_mask(name.substr(prefix.size())));
  });
  for (const std::string& name : files.names())
    GMAIL_INPUT(name.starts_with(prefix), files.path().string(),
                " does not fit the model; 1 unexpected: ", name);
  load_params(files, params, prefix);
  place(params, device);
  return model;
}

Var Gpt2::embed(Tape& tape, const Tensor& ids) { return embedding(tape, wte.on(tape), ids); }

Var Gpt2::hidden(Tape& tape, const Var& embedded, KvCache* cache, const DropoutKey& key) {
  const int64_t T = embedded.size(1), past = cache != nullptr ? cache->length() : 0;
  GMAIL_CHECK(past + T <= config.n_positions, "[gpt2] ", past + T, " positions, the model has ",
              config.n_positions);
  GMAIL_CHECK(cache == nullptr || !tape.recording(),
              "[gpt2] a cache is for inference: the tape must not record");
  if (cache != nullptr && cache->k.empty()) {
    cache->k.resize(h.size());
    cache->v.resize(h.size());
  }
  Var x = add(tape, embedded, slice(tape, wpe.on(tape), 0, past, past + T));
  x = dropout(tape, x, config.dropout, key);
  for (size_t i = 0; i < h.size(); ++i) {
    const auto remember = [&](Var& k, Var& v) -> AttentionMask {
      if (cache != nullptr) {
        k = Var(cache->k[i] = append(tape, cache->k[i], k));
        v = Var(cache->v[i] = append(tape, cache->v[i], v));
      }
      return {.causal = true, .keys = {}};
    };
    x = h[i].forward(tape, x, remember, config.dropout, {key.seed, key.step, key.index + 1 + 2 * i});
  }
  return ln_f.forward(tape, x);
}

Var Gpt2::logits(Tape& tape, const Var& hidden_states) {
  return linear(tape, hidden_states, wte.on(tape), Var());
}

void Gpt2::init(uint64_t seed) {
  init_normal(wte, 0.02, seed);
  init_normal(wpe, 0.02, seed);
  const double residual = 0.02 / std::sqrt(2 * static_cast<double>(h.size()));
  for (Gpt2Block& block : h) {
    init_normal(block.c_attn.weight, 0.02, seed);
    init_normal(block.mlp_c_fc.weight, 0.02, seed);
    init_normal(block.c_proj.weight, residual, seed);
    init_normal(block.mlp_c_proj.weight, residual, seed);
  }
}

void Gpt2::each_linear(const std::function<void(Linear&)>& f) {
  for (Gpt2Block& block : h) block.each_linear(f);
}

void Gpt2::collect(ParamList& params) {
  params.insert(params.end(), {&wte, &wpe});
  for (Gpt2Block& block : h) block.collect(params);
  ln_f.collect(params);
}

}  // namespace gmail

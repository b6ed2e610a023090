#include "gmail/convert_clipcap.h"

#include <nlohmann/json.hpp>

#include "gmail/downstream.h"
#include "io/files.h"
#include "io/json.h"
#include "nn/param_file.h"
#include "nn/param_places.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMapper = "clip_project.";

// How many blocks there are: layers.0 .. of the transformer mapper.
int64_t count_layers(const TensorFiles& files) {
  int64_t n = 0;
  while (files.has(concat(kMapper, "transformer.layers.", n, ".norm1.weight"))) ++n;
  return n;
}

ClipCapConfig read_config(const fs::path& in, const TensorFiles& files,
                          const std::optional<Tokenizer>& tokenizer) {
  const fs::path file = in / "config.json";
  Json j = read_json(file);
  GMAIL_INPUT(j.is_object(), file.string(), ": expected an object, found ", describe(j));
  for (const char* key : {"mapper", "prefix_length", "clip_dim", "normalize_prefix"})
    GMAIL_INPUT(j.contains(key), file.string(), ": field \"", key, "\" is missing");
  const Gpt2Config gpt = Gpt2Config::from_json(j, file.string());
  GMAIL_INPUT(!tokenizer || tokenizer->vocab_size() <= gpt.vocab_size, file.string(),
              ": field \"vocab_size\": expected at least the ", tokenizer->vocab_size(),
              " tokens of the vocabulary beside it, found ", gpt.vocab_size);
  if (!j.contains("end_id")) j["end_id"] = tokenizer ? tokenizer->end_id() : gpt.vocab_size - 1;
  if (!j.contains("released")) j["released"] = true;
  if (const std::string bias = concat(kMapper, "linear.bias"); files.has(bias) && !j.contains("clip_length"))
    j["clip_length"] = files.shape(bias).numel() / gpt.n_embd;
  if (const int64_t layers = count_layers(files); layers > 0 && !j.contains("mapper_layers"))
    j["mapper_layers"] = layers;
  return ClipCapConfig::from_json(j, file.string());
}

void load(ClipCap& model, TensorFiles& files) {
  const std::string prefix = files.has("gpt.transformer.wte.weight") ? "gpt.transformer." : "gpt.";
  check_tied(files, "gpt.lm_head.weight", prefix + "wte.weight");
  files.leave_out([&](const std::string& name) {
    return name == "gpt.lm_head.weight" ||
           (name.starts_with(prefix) && is_gpt2_mask(name.substr(prefix.size())));
  });
  const Places places = [&](const Param& p) {
    return Place{p.name.starts_with(kMapper) ? p.name : prefix + p.name, 0, 1, p.transposed};
  };
  check_params(files, model.params(), places);
  fill_params(files, model.params(), places);
}

}  // namespace

ClipCapReport convert_clipcap(const fs::path& in, const fs::path& out) {
  TensorFiles files = TensorFiles::open(in);
  GMAIL_INPUT(!fs::exists(out) || !fs::equivalent(in, out), out.string(),
              ": expected another folder than the model's own");
  std::optional<Tokenizer> tokenizer;
  if (has_vocabulary(in)) tokenizer = Tokenizer::load(in);
  ClipCap model(read_config(in, files, tokenizer));
  freeze(model.params());  // so that the values are views of the file
  load(model, files);
  ClipCapReport report{model.config, 0, 0, tokenizer.has_value()};
  for (const Param* p : model.params()) {
    report.params += p->value.numel();
    if (p->name.starts_with(kMapper)) report.mapper_params += p->value.numel();
  }
  make_dirs(out);
  save_params(out / "model.safetensors", model.params(), {{"format", "pt"}});
  if (tokenizer) tokenizer->save(out);
  write_json(out / "config.json", model.config.to_json());
  return report;
}

}  // namespace gmail

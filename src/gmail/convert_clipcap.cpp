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

std::string gpt_prefix(const TensorFiles& files) {
  return files.has("gpt.transformer.wte.weight") ? "gpt.transformer." : "gpt.";
}

// Before a model of these sizes is made: do they fit the file at all?
void check_sizes(const ClipCapConfig& c, const TensorFiles& files) {
  const std::string file = files.path().string();
  const auto has_shape = [&](const std::string& name, const Shape& shape) {
    GMAIL_INPUT(files.has(name), file, " does not fit the model; missing: ", name);
    GMAIL_INPUT(files.shape(name) == shape, file, " does not fit the model; of another shape: ", name,
                " (expected ", shape, ", found ", files.shape(name), ")");
  };
  const bool mlp = c.mapper == MapperKind::mlp;
  const int64_t blocks = c.gpt.n_layer + (mlp ? 0 : c.mapper_layers);
  GMAIL_INPUT(blocks <= std::ssize(files.names()), file, ": ", files.names().size(),
              " tensors, expected those of ", blocks, " blocks");
  has_shape(gpt_prefix(files) + "wte.weight", {c.gpt.vocab_size, c.gpt.n_embd});
  if (mlp)
    has_shape("clip_project.model.0.weight", {c.gpt.n_embd * c.prefix_length / 2, c.clip_dim});
  else
    has_shape("clip_project.linear.weight", {c.gpt.n_embd * c.clip_length, c.clip_dim});
}

void load(ClipCap& model, TensorFiles& files) {
  const std::string prefix = gpt_prefix(files);
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
  const ClipCapConfig config = read_config(in, files, tokenizer);
  check_sizes(config, files);
  ClipCap model(config);
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

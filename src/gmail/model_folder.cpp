#include "gmail/model_folder.h"

#include <nlohmann/json.hpp>

#include "io/json.h"
#include "nn/param_file.h"

namespace gmail {
namespace {

Preprocess preprocess_of(const std::filesystem::path& file, const ClipConfig& config) {
  const Preprocess p = Preprocess::from_json(read_json(file), file.string());
  GMAIL_INPUT(p.size() == config.image_size, file.string(), ": images of ", p.size(),
              " pixels, the model's are of ", config.image_size);
  return p;
}

}  // namespace

ClipModel ClipModel::load(const std::filesystem::path& folder, Device device) {
  const auto config_file = folder / "config.json";
  const ClipConfig config = ClipConfig::from_json(read_json(config_file), config_file.string());
  ClipModel model{Clip(config), Tokenizer::load(folder),
                  preprocess_of(folder / "preprocessor_config.json", config)};
  GMAIL_INPUT(model.tokenizer.vocab_size() <= model.clip.config.vocab_size, folder.string(),
              ": the tokenizer has ", model.tokenizer.vocab_size(), " tokens, the model ",
              model.clip.config.vocab_size);
  load_params(SafetensorsFile(folder / "model.safetensors"), model.clip.params());
  place(model.clip.params(), device);
  freeze(model.clip.params());
  return model;
}

void ClipModel::save(const std::filesystem::path& folder, StoreAs store) {
  make_dirs(folder);
  tokenizer.save(folder);
  write_json(folder / "preprocessor_config.json", preprocess.to_json());
  write_json(folder / "config.json", clip.config.to_json());
  save_params(folder / "model.safetensors", clip.params(), {{"format", "pt"}}, store);
}

TextInput ClipModel::tokens(std::span<const std::string> captions) const {
  const TokenBatch batch = tokenizer.batch(captions, clip.config.max_position_embeddings);
  return make_text_input(batch.ids, batch.end);
}

}  // namespace gmail

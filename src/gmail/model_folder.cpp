#include "gmail/model_folder.h"

#include <nlohmann/json.hpp>

#include "io/json.h"
#include "models/clip_positions.h"
#include "nn/param_file.h"

namespace gmail {

ClipModel ClipModel::load(const std::filesystem::path& path, Device device, const ClipSaid& said) {
  const ClipFolder found = ClipFolder::open(path, said);
  ClipModel model{Clip(found.config), Tokenizer::load(found.folder, TokenizerKind::clip), found.preprocess};
  GMAIL_INPUT(model.tokenizer.vocab_size() <= model.clip.config.vocab_size, path.string(),
              ": the tokenizer has ", model.tokenizer.vocab_size(), " tokens, the model ",
              model.clip.config.vocab_size);
  freeze(model.clip.params());
  found.load(model.clip);
  if (said.image_size > 0) {
    change_image_size(model.clip, said.image_size);
    model.preprocess = model.preprocess.for_size(said.image_size);
  }
  place(model.clip.params(), device);
  return model;
}

void ClipModel::save(const std::filesystem::path& folder, StoreAs store) {
  make_dirs(folder);
  tokenizer.save(folder);
  write_json(folder / "preprocessor_config.json", preprocess.to_json());
  write_json(folder / "config.json", hf_config(clip.config, tokenizer.end_id()));
  save_params(folder / "model.safetensors", clip.params(), {{"format", "pt"}}, store);
}

TextInput ClipModel::tokens(std::span<const std::string> captions, TooLong too_long) const {
  const TokenBatch batch = tokenizer.batch(captions, clip.config.max_position_embeddings, too_long);
  return make_text_input(batch.ids, text_ends(clip.config, batch.ids));
}

nlohmann::json hf_config(const ClipConfig& config, int64_t end) {
  ClipConfig c = config;
  if (!c.eos_token_id) c.eos_token_id = end;
  nlohmann::json json = c.to_json();
  json["architectures"] = {"CLIPModel"};
  // the towers' own classes ask for it
  json["vision_config"]["projection_dim"] = json["text_config"]["projection_dim"] = c.projection_dim;
  return json;
}

}  // namespace gmail

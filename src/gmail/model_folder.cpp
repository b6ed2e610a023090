#include "gmail/model_folder.h"

#include <nlohmann/json.hpp>

#include "io/json.h"
#include "nn/param_file.h"

namespace gmail {
namespace {

Normalisation norm_from(const std::filesystem::path& file) {
  const auto json = read_json(file);
  Normalisation norm = kHalfNormalisation;
  try {
    norm.mean = json.at("image_mean").get<std::array<double, 3>>();
    norm.std = json.at("image_std").get<std::array<double, 3>>();
  } catch (const nlohmann::json::exception&) {
    throw InputError(
        concat(file.string(), ": fields \"image_mean\" and \"image_std\": expected three numbers each"));
  }
  for (const double s : norm.std)
    GMAIL_INPUT(s > 0, file.string(), ": field \"image_std\": expected > 0, found ", s);
  return norm;
}

}  // namespace

ClipModel ClipModel::load(const std::filesystem::path& folder, Device device) {
  const auto config_file = folder / "config.json";
  ClipModel model{Clip(ClipConfig::from_json(read_json(config_file), config_file.string())),
                  Tokenizer::load(folder), norm_from(folder / "preprocessor_config.json")};
  GMAIL_INPUT(model.tokenizer.vocab_size() <= model.clip.config.vocab_size, folder.string(),
              ": the tokenizer has ", model.tokenizer.vocab_size(), " tokens, the model ",
              model.clip.config.vocab_size);
  freeze(model.clip.params());
  load_params(TensorFiles::open(folder), model.clip.params());
  place(model.clip.params(), device);
  return model;
}

void ClipModel::save(const std::filesystem::path& folder, StoreAs store) {
  make_dirs(folder);
  const int64_t size = clip.config.image_size;
  tokenizer.save(folder);
  write_json(folder / "preprocessor_config.json", {{"feature_extractor_type", "CLIPFeatureExtractor"},
                                                   {"do_resize", true},
                                                   {"size", size},
                                                   {"resample", 3},
                                                   {"do_center_crop", true},
                                                   {"crop_size", size},
                                                   {"do_normalize", true},
                                                   {"image_mean", norm.mean},
                                                   {"image_std", norm.std}});
  write_json(folder / "config.json", clip.config.to_json());
  save_params(folder / "model.safetensors", clip.params(), {{"format", "pt"}}, store);
}

TextInput ClipModel::tokens(std::span<const std::string> captions) const {
  const TokenBatch batch = tokenizer.batch(captions, clip.config.max_position_embeddings);
  return make_text_input(batch.ids, batch.end);
}

}  // namespace gmail

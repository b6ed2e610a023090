#include "gmail/convert_clip.h"

#include <map>
#include <nlohmann/json.hpp>

#include "gmail/model_folder.h"
#include "io/json.h"
#include "models/clip_positions.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizerFiles[] = {"vocab.json",
                                           "merges.txt",
                                           "tokenizer.json",
                                           "bpe_simple_vocab_16e6.txt",
                                           "tokenizer_config.json",
                                           "special_tokens_map.json",
                                           "added_tokens.json"};

void carry(const fs::path& from, const fs::path& to) {
  if (fs::exists(from)) write_atomically(to / from.filename(), read_text(from));
}

// Everything beside the weights that does not depend on the form.
void copy_along(const fs::path& in, const fs::path& out) {
  for (const char* name : kTokenizerFiles) carry(in / name, out);
  carry(in / "README.md", out);
  for (const auto& entry : fs::directory_iterator(in.empty() ? fs::path(".") : in))
    if (entry.is_regular_file() && entry.path().filename().string().starts_with("LICENSE"))
      carry(entry.path(), out);
}

// What texts end with: the tokenizer's end where there is one, otherwise the largest id, as OpenAI's rule is.
int64_t end_token(const ClipFolder& in) {
  for (const char* name : {"vocab.json", "tokenizer.json", "bpe_simple_vocab_16e6.txt"})
    if (fs::exists(in.folder / name)) return Tokenizer::load(in.folder).end_id();
  return in.config.vocab_size - 1;
}

// The parameters under the new form's names, each with the type it is to be stored in.
std::vector<NamedTensor> renamed(const ClipFolder& in, Clip& clip, const ConvertOptions& o) {
  const Places here = in.places(), there = clip_places(o.form != ClipForm::hf);
  std::map<std::string, std::string> types;  // by the new name
  for (const Param* p : clip.params()) {
    const std::string own = in.weights->dtype(here(*p).name);
    const auto [found, first] = types.try_emplace(there(*p).name, own);
    if (!first && found->second != own) found->second = "F32";  // q, k and v of different types
  }
  std::vector<NamedTensor> tensors = put_params(clip.params(), there);
  for (NamedTensor& t : tensors) t.as = o.store.empty() ? types.at(t.name) : o.store;
  return tensors;
}

void write_configs(const ClipFolder& in, const ClipConfig& config, const ConvertOptions& o) {
  const int64_t end = end_token(in);
  const bool resized = config.image_size != in.config.image_size;
  const fs::path preprocessor = in.folder / "preprocessor_config.json";
  if (!resized && fs::exists(preprocessor))
    carry(preprocessor, o.out);
  else
    write_json(o.out / "preprocessor_config.json", in.preprocess.for_size(config.image_size).to_json());
  if (o.form != ClipForm::open_clip) return write_json(o.out / "config.json", hf_config(config, end));
  write_json(o.out / "open_clip_config.json", {{"model_cfg", open_clip_json(config, end)},
                                               {"preprocess_cfg",
                                                {{"mean", in.preprocess.norm.mean},
                                                 {"std", in.preprocess.norm.std},
                                                 {"interpolation", "bicubic"},
                                                 {"resize_mode", "shortest"}}}});
}

}  // namespace

ConvertReport convert_clip(const ConvertOptions& o) {
  const ClipFolder in = ClipFolder::open(o.in, o.said);
  GMAIL_INPUT(!fs::exists(o.out) || !fs::equivalent(in.folder.empty() ? "." : in.folder, o.out),
              o.out.string(), ": expected another folder than the model's own");
  Clip clip(in.config);
  freeze(clip.params());  // so that the values are views of the file
  in.load(clip);
  if (o.said.image_size > 0) change_image_size(clip, o.said.image_size);
  if (o.form == ClipForm::open_clip) (void)open_clip_json(clip.config, end_token(in));  // says what it cannot
  make_dirs(o.out);
  ConvertReport report{clip.config, 0, 0, {}};
  report.weights =
      o.out / (o.form == ClipForm::open_clip ? "open_clip_model.safetensors" : "model.safetensors");
  const std::vector<NamedTensor> tensors = renamed(in, clip, o);
  for (const NamedTensor& t : tensors) report.params += t.tensor.numel();
  report.tensors = std::ssize(tensors);
  save_safetensors(report.weights, tensors, {{"format", "pt"}});
  copy_along(in.folder, o.out);
  write_configs(in, clip.config, o);
  return report;
}

}  // namespace gmail

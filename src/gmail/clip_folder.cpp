#include "gmail/clip_folder.h"

#include <nlohmann/json.hpp>

#include "io/json.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

// "preprocess_cfg" of open_clip's configuration: mean, std, interpolation, resize_mode; torchvision crops.
Preprocess open_clip_preprocess(const Json& json, int64_t image_size, const std::string& where) {
  Preprocess p = Preprocess::square(image_size);
  p.crop_rule = CropRule::openai;
  if (!json.contains("preprocess_cfg")) return p;
  const Json& cfg = json["preprocess_cfg"];
  GMAIL_INPUT(cfg.is_object(), where, ": field \"preprocess_cfg\": expected an object, found ",
              describe(cfg));
  const auto must_be = [&](const char* key, const char* value) {
    GMAIL_INPUT(!cfg.contains(key) || cfg[key] == value, where, ": preprocess_cfg: field \"", key,
                "\": expected \"", value, "\", found ", cfg.contains(key) ? describe(cfg[key]) : "");
  };
  must_be("interpolation", "bicubic");
  must_be("resize_mode", "shortest");
  Json as_hf = p.to_json();
  if (cfg.contains("mean")) as_hf["image_mean"] = cfg["mean"];
  if (cfg.contains("std")) as_hf["image_std"] = cfg["std"];
  p.norm = Preprocess::from_json(as_hf, where + ": preprocess_cfg, mean and std").norm;
  return p;
}

// What PyTorch pickles is no safetensors file; the message says what is to be done.
std::string advice(const fs::path& folder) {
  for (const char* name : {"open_clip_pytorch_model.bin", "pytorch_model.bin", "ViT-B-32.pt", "ViT-B-16.pt",
                           "ViT-L-14.pt", "ViT-L-14-336px.pt"})
    if (fs::exists(folder / name))
      return concat(" (scripts/openai_to_safetensors.py makes one of ", name, ")");
  return "";
}

// One file, an index of shards, or what stands in the folder.
TensorFiles weights_of(const fs::path& path, bool open_clip) {
  if (path.extension() == ".json") return TensorFiles::open_index(path);
  if (fs::is_regular_file(path)) return SafetensorsFile(path);
  constexpr const char* kOpenClip = "open_clip_model.safetensors";
  if (open_clip && TensorFiles::exist(path, kOpenClip)) return TensorFiles::open(path, kOpenClip);
  GMAIL_INPUT(TensorFiles::exist(path), path.string(), ": no model.safetensors",
              open_clip ? " or open_clip_model.safetensors" : "", advice(path));
  return TensorFiles::open(path);
}

// The form of the configuration: Hugging Face's, unless its weights are not there and open_clip's is.
void find(ClipFolder& f, const fs::path& path) {
  const bool file = fs::is_regular_file(path);
  f.folder = file ? path.parent_path() : path;
  const fs::path hf = f.folder / "config.json", open_clip = f.folder / "open_clip_config.json";
  const bool theirs = !fs::exists(hf) || (file ? path.filename().string().starts_with("open_clip")
                                               : !TensorFiles::exist(f.folder));
  if (fs::exists(open_clip) && theirs) {
    f.form = ClipForm::open_clip;
    f.config_file = open_clip;
  } else if (fs::exists(hf)) {
    f.config_file = hf;
  } else {
    GMAIL_INPUT(file || TensorFiles::exist(f.folder), "no CLIP model: neither ", hf.string(), " nor ",
                open_clip.string());
    f.form = ClipForm::openai;
  }
  TensorFiles weights = weights_of(file ? path : f.folder, f.form == ClipForm::open_clip);
  weights.leave_out(is_clip_extra);
  f.weights = std::make_shared<const TensorFiles>(std::move(weights));
}

// Rows of the text's position table; transformers' default where there is none, which loading will say.
int64_t context_of(const TensorFiles& file) {
  for (const char* name : {"text_model.embeddings.position_embedding.weight", "positional_embedding"})
    if (file.has(name) && file.shape(name).rank() == 2) return file.shape(name)[0];
  return 77;
}

void check_said(const ClipFolder& f, const ClipSaid& said) {
  if (!said.hidden_act) return;
  for (const Activation stated : {f.config.vision.hidden_act, f.config.text.hidden_act})
    GMAIL_INPUT(stated == *said.hidden_act, f.config_file.string(), ": the activation is ", name_of(stated),
                ", said was ", name_of(*said.hidden_act));
}

void read_config(ClipFolder& f, const ClipSaid& said) {
  if (f.form == ClipForm::openai) {
    GMAIL_INPUT(
        said.hidden_act.has_value(), f.weights->path().string(),
        ": no config.json or open_clip_config.json says the activation, which is never guessed: gmail "
        "convert clip --activation quick_gelu (OpenAI's weights) or gelu");
    f.config = config_from_shapes(*f.weights, *said.hidden_act);
    return;
  }
  const Json json = read_json(f.config_file);
  const int64_t context = context_of(*f.weights);
  f.config = f.form == ClipForm::hf
                 ? ClipConfig::from_json(json, f.config_file.string(), {said.hidden_act, context})
                 : open_clip_config(json, f.config_file.string(), context);
  check_said(f, said);
  GMAIL_INPUT(f.config.max_position_embeddings == context, f.config_file.string(), ": a context of ",
              f.config.max_position_embeddings, ", but the position table in ", f.weights->path().string(),
              " has ", context, " rows");
  if (f.form == ClipForm::open_clip)
    f.preprocess = open_clip_preprocess(json, f.config.image_size, f.config_file.string());
}

}  // namespace

ClipFolder ClipFolder::open(const fs::path& path, const ClipSaid& said) {
  ClipFolder f;
  find(f, path);
  read_config(f, said);
  const fs::path preprocessor = f.folder / "preprocessor_config.json";
  if (f.form == ClipForm::openai) f.preprocess = Preprocess::square(f.config.image_size);
  if (f.form == ClipForm::hf || fs::exists(preprocessor))
    f.preprocess = Preprocess::from_json(read_json(preprocessor), preprocessor.string());
  GMAIL_INPUT(f.preprocess.size() == f.config.image_size, preprocessor.string(), ": images of ",
              f.preprocess.size(), " pixels, the model's are of ", f.config.image_size);
  return f;
}

void ClipFolder::load(Clip& clip) const {
  check_params(*weights, clip.params(), places());
  fill_params(*weights, clip.params(), places());
}

}  // namespace gmail

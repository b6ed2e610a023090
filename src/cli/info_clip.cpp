#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/info_lines.h"
#include "io/files.h"
#include "models/clip_positions.h"
#include "train/progress.h"

namespace gmail::cli {
namespace {

namespace fs = std::filesystem;

std::string tower_text(const TowerConfig& t) {
  return concat("width ", t.hidden_size, ", ", t.num_hidden_layers, " blocks of ", t.num_attention_heads,
                " heads, MLP ", t.intermediate_size, ", ", name_of(t.hidden_act));
}

// The parameters of a tower, its projection included, and the types that they are stored in.
std::string tower_params(const ClipFolder& f, const ParamList& params) {
  const Places places = f.places();
  int64_t count = 0;
  std::set<std::string> types;
  for (const Param* p : params) {
    count += p->value.numel();
    types.insert(f.weights->dtype(places(*p).name));
  }
  std::string text = concat(count_text(count), " parameters");
  for (const std::string& type : types) text += (type == *types.begin() ? ", " : " and ") + type;
  return text;
}

// LICENSE's first line that says something, and "license: .." of the README's front matter.
void show_licence(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder.empty() ? fs::path(".") : folder)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || !(name.starts_with("LICENSE") || name.starts_with("LICENCE"))) continue;
    const std::string text = read_text(entry.path());
    const size_t begin = std::min(text.find_first_not_of(" \t\r\n#="), text.size());
    line("licence",
         name + ": " + text.substr(begin, std::min(text.find_first_of("\r\n", begin) - begin, size_t{100})));
  }
  if (!fs::exists(folder / "README.md")) return;
  std::string_view rest;
  const std::string readme = read_text(folder / "README.md");
  if (readme.starts_with("---")) rest = std::string_view(readme).substr(3);
  rest = rest.substr(0, rest.find("\n---"));
  constexpr std::string_view kKey = "\nlicense:";
  if (const size_t at = rest.find(kKey); at != std::string_view::npos) {
    rest = rest.substr(at + kKey.size());
    rest = rest.substr(0, rest.find_first_of("\r\n"));
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    line("licence", "README.md: " + std::string(rest));
  }
}

std::string numbers(const std::array<double, 3>& x) { return concat(x[0], ", ", x[1], ", ", x[2]); }

}  // namespace

void line(const std::string& key, const std::string& value) {
  std::cout << key << std::string(key.size() < 14 ? 14 - key.size() : 1, ' ') << value << '\n';
}

std::string count_params(const TensorFiles& file, const std::vector<std::string>& prefixes) {
  int64_t count = 0, tensors = 0;
  std::set<std::string> types;
  for (const std::string& name : file.names()) {
    const bool in =
        std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& p) { return name.starts_with(p); });
    if (!in) continue;
    count += file.shape(name).numel();
    ++tensors;
    types.insert(file.dtype(name));
  }
  std::string text = concat(count_text(count), " parameters in ", tensors, " tensors");
  for (const std::string& type : types) text += (type == *types.begin() ? ", " : " and ") + type;
  return text;
}

void show_clip(const fs::path& folder, const ClipSaid& said) {
  const ClipFolder f = ClipFolder::open(folder, said);
  Clip clip(f.config);
  check_params(*f.weights, clip.params(), f.places());
  const ClipConfig& c = f.config;
  ParamList image, text;
  clip.image.collect(image);
  clip.text.collect(text);
  line("CLIP", concat(folder.string(), ", ", f.form == ClipForm::open_clip ? "open_clip's form" : "",
                      f.form == ClipForm::hf ? "Hugging Face's form" : "",
                      f.form == ClipForm::openai ? "no configuration" : "",
                      has_openai_names(*f.weights) ? ", OpenAI's names" : ""));
  line("image tower", concat(tower_text(c.vision), ", images ", c.image_size, " x ", c.image_size,
                             " in patches of ", c.patch_size));
  line("", tower_params(f, image));
  line("text tower",
       concat(tower_text(c.text), ", context ", c.max_position_embeddings, ", ", c.vocab_size, " tokens"));
  line("", tower_params(f, text));
  line("embedding", concat(c.projection_dim, " numbers"));
  line("total", tower_params(f, clip.params()));
  if (said.image_size > 0 && said.image_size != c.image_size) {
    check_image_size(c, said.image_size);
    line("resized", concat("images ", said.image_size, " x ", said.image_size, ", positions ",
                           c.image_size / c.patch_size, " x ", c.image_size / c.patch_size, " -> ",
                           said.image_size / c.patch_size, " x ", said.image_size / c.patch_size));
  }
  line("preprocessing",
       concat("mean ", numbers(f.preprocess.norm.mean), ", deviation ", numbers(f.preprocess.norm.std)));
  show_licence(f.folder);
}

}  // namespace gmail::cli

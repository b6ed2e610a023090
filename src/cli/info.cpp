// gmail info: what a file or a folder of this program's is, and what is in it.
#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands.h"
#include "cli/index.h"
#include "core/device_memory.h"
#include "core/parallel_for.h"
#include "data/tokenizer.h"
#include "gmail/adapter_file.h"
#include "io/json.h"
#include "models/clip.h"
#include "models/clipcap.h"
#include "models/unet.h"
#include "train/progress.h"

namespace gmail::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string path;
};

void setup(Command& c, Options& o) {
  c.argument("path", o.path,
             "model, generator, captioner, adapter, tokenizer or index folder; .safetensors or "
             ".jsonl file; none: this program");
}

void line(const std::string& key, const std::string& value) {
  std::cout << key << std::string(key.size() < 14 ? 14 - key.size() : 1, ' ') << value << '\n';
}

// Parameters and types of the tensors whose names begin with one of `prefixes`.
std::string count_params(const SafetensorsFile& file, const std::vector<std::string>& prefixes) {
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

std::string tower_text(const TowerConfig& t) {
  return concat("width ", t.hidden_size, ", ", t.num_hidden_layers, " blocks of ", t.num_attention_heads,
                " heads, MLP ", t.intermediate_size, ", ", name_of(t.hidden_act));
}

void show_clip(const fs::path& folder) {
  const fs::path file = folder / "config.json";
  const ClipConfig c = ClipConfig::from_json(read_json(file), file.string());
  const SafetensorsFile weights(folder / "model.safetensors");
  line("CLIP", folder.string());
  line("image tower", concat(tower_text(c.vision), ", images ", c.image_size, " x ", c.image_size,
                             " in patches of ", c.patch_size));
  line("", count_params(weights, {"vision_model.", "visual_projection."}));
  line("text tower",
       concat(tower_text(c.text), ", context ", c.max_position_embeddings, ", ", c.vocab_size, " tokens"));
  line("", count_params(weights, {"text_model.", "text_projection."}));
  line("embedding", concat(c.projection_dim, " numbers"));
  line("total", count_params(weights, {""}));
}

void show_generator(const fs::path& folder) {
  const fs::path file = folder / "unet" / "config.json";
  const UnetConfig c = UnetConfig::from_json(read_json(file), file.string());
  const Json scheduler = read_json(folder / "scheduler" / "scheduler_config.json");
  std::string channels;
  for (const int64_t n : c.block_out_channels) channels += (channels.empty() ? "" : ", ") + std::to_string(n);
  line("generator", folder.string());
  line("U-Net", concat(c.sample_size, " x ", c.sample_size, ", channels ", channels, ", ", c.layers_per_block,
                       " ResBlocks a level, text width ", c.cross_attention_dim));
  line("predicts",
       scheduler.value("prediction_type", "?") + ", schedule " + scheduler.value("beta_schedule", "?"));
  line("total", count_params(SafetensorsFile(folder / "unet" / "diffusion_pytorch_model.safetensors"), {""}));
}

void show_captioner(const fs::path& folder, const Json& config) {
  const ClipCapConfig c = ClipCapConfig::from_json(config, (folder / "config.json").string());
  const SafetensorsFile weights(folder / "model.safetensors");
  line("captioner", folder.string());
  line("mapper", concat("MLP from ", c.clip_dim, " numbers", c.normalize_prefix ? " of unit length" : "",
                        " to ", c.prefix_length, " vectors"));
  line("", count_params(weights, {"clip_project."}));
  line("decoder", concat("GPT-2, width ", c.gpt.n_embd, ", ", c.gpt.n_layer, " blocks of ", c.gpt.n_head,
                         " heads, ", c.gpt.n_positions, " positions, ", c.gpt.vocab_size, " tokens"));
  line("total", count_params(weights, {""}));
}

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void show_adapter(const fs::path& folder) {
  const AdapterFile adapter = AdapterFile::read(folder);
  std::map<std::string, int64_t> layers;  // by "vision_model q_proj"
  std::set<std::string> ranks, alphas;
  for (const AdapterFile::Update& u : adapter.updates) {
    ++layers[u.path.substr(0, u.path.find('.')) + " " + u.path.substr(u.path.rfind('.') + 1)];
    ranks.insert(std::to_string(u.a.size(0)));
    alphas.insert(concat(u.scale * static_cast<double>(u.a.size(0))));
  }
  line("adapter", folder.string());
  line("LoRA", concat("rank ", joined(ranks), ", alpha ", joined(alphas), ", on ", adapter.updates.size(),
                      " linear layers"));
  for (const auto& [name, count] : layers) line("", concat(name, ": ", count));
  for (const NamedTensor& w : adapter.weights) line("", concat(w.name, " of its own ", w.tensor.shape()));
  if (!adapter.base_model.empty()) line("of", adapter.base_model);
  line("", count_params(SafetensorsFile(folder / "adapter_model.safetensors"), {""}));
  if (!fs::exists(folder / "projections.safetensors")) return;
  const SafetensorsFile projections(folder / "projections.safetensors");
  line("projections", projections.has("projection_real.weight") ? "for generated and for real images"
                                                                : "for generated images");
  line("", count_params(projections, {""}));
}

void show_manifest(const fs::path& file) {
  const Manifest manifest = read_manifest(file);
  struct Counts {
    int64_t images = 0, captions = 0, labels = 0;
  };
  std::map<std::string, Counts> groups;
  for (const Record& r : manifest.records) {
    Counts& n = groups[r.split + (r.source.generated ? ", generated by " + r.source.generator : ", real")];
    ++n.images;
    n.captions += std::ssize(r.captions);
    n.labels += r.label ? 1 : 0;
  }
  line("manifest", concat(file.string(), ", ", manifest.size(), " records"));
  for (const auto& [name, n] : groups)
    line("", concat(name, ": ", n.images, " images, ", n.captions, " captions, ", n.labels, " with a label"));
}

void show_tensors(const fs::path& path) {
  const SafetensorsFile file(path);
  const Metadata& m = file.metadata();
  if (m.contains("format") && m.at("format") == "gmail.checkpoint.1") {
    line("checkpoint", path.string());
    line("step", m.contains("step") ? m.at("step") : "?");
    line("identity", m.contains("identity") ? m.at("identity") : "?");
    line("values", count_params(file, {"value."}));
    return;
  }
  line("safetensors", concat(path.string(), ", ", count_params(file, {""})));
  for (const auto& [key, value] : m) line("", key + ": " + value);
  for (const std::string& name : file.names())
    line("", concat(name, "  ", file.dtype(name), " ", file.shape(name)));
}

void show_index(const fs::path& folder) {
  const Index index = load_index(folder);
  line("index", folder.string());
  line("model", index.encoder.model);
  if (!index.encoder.adapter.empty())
    line("adapter", index.encoder.adapter + (index.encoder.generated ? ", f_g" : ", f_r"));
  line("images", concat(index.images.size(0), ", ", index.images.size(1), " numbers each"));
}

void show_program(const Command& c) {
  std::cout << version_text() << '\n';
  const std::string missing = why_no_cuda();
  line("devices:", missing.empty() ? "cpu, cuda: " + cuda_description() : "cpu (no cuda: " + missing + ")");
  line("threads:", std::to_string(num_threads()) + (c.common().threads == 0 ? " (one per core)" : ""));
}

void show_folder(const fs::path& folder) {
  const auto has = [&](const char* name) { return fs::exists(folder / name); };
  if (has("unet/config.json")) return show_generator(folder);
  if (has("adapter_config.json")) return show_adapter(folder);
  if (has("index.json")) return show_index(folder);
  if (has("config.json")) {
    const Json config = read_json(folder / "config.json");
    const std::string type =
        config.is_object() && config.contains("model_type") ? config["model_type"].dump() : "nothing";
    if (type == "\"clip\"" || config.contains("vision_config")) return show_clip(folder);
    if (type == "\"clipcap\"") return show_captioner(folder, config);
    throw InputError(concat((folder / "config.json").string(),
                            ": field \"model_type\": expected \"clip\" or \"clipcap\", "
                            "found ",
                            type));
  }
  if (has("checkpoint.safetensors")) return show_tensors(folder / "checkpoint.safetensors");
  if (has("manifest.jsonl")) return show_manifest(folder / "manifest.jsonl");
  if (has("vocab.json"))
    return line("tokenizer", concat(folder.string(), ", ", Tokenizer::load(folder).vocab_size(), " tokens"));
  throw InputError(folder.string() +
                   ": nothing that this program knows (no config.json, adapter_config.json, "
                   "index.json, checkpoint.safetensors, manifest.jsonl or vocab.json)");
}

void run(Command& c, Options& o) {
  const fs::path path = o.path;
  if (o.path.empty()) return show_program(c);
  if (fs::is_directory(path)) return show_folder(path);
  GMAIL_INPUT(fs::exists(path), o.path, ": no such file or folder");
  if (path.extension() == ".jsonl") return show_manifest(path);
  GMAIL_INPUT(path.extension() == ".safetensors", o.path,
              ": expected a folder, a .safetensors or a .jsonl file");
  show_tensors(path);
}

}  // namespace

void add_info(Program& program) {
  program.add<Options>(program.app, "info", "what a model, a data set or this program is made of", setup,
                       run);
}

}  // namespace gmail::cli

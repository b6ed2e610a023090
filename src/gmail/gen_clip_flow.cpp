#include "gmail/gen_clip_flow.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/files.h"
#include "nn/param_file.h"

namespace gmail {
namespace {

constexpr const char* kPeftPrefix = "base_model.model.";

// The LoRA matrices of a tower, in the order of its layers.
ParamList lora_params(ImageTower& tower) {
  ParamList params;
  tower.each_linear([&](Linear& l) {
    if (l.lora) params.insert(params.end(), {&l.lora->a, &l.lora->b});
  });
  return params;
}

// A projection of its own: same weight, other storage, trainable, another name.
Linear own_projection(const Linear& from, const std::string& name) {
  Linear own(name, from.weight.value.size(1), from.weight.value.size(0), false);
  own.weight.value.copy_from(from.weight.value);
  return own;
}

}  // namespace

int64_t add_lora(const std::function<void(const std::function<void(Linear&)>&)>& each,
                 const std::vector<std::string>& targets, int64_t rank, double alpha, uint64_t seed) {
  int64_t count = 0;
  each([&](Linear& l) {
    const std::string path = l.path(), last = path.substr(path.rfind('.') + 1);
    if (std::find(targets.begin(), targets.end(), last) == targets.end()) return;
    l.add_lora(rank, alpha, seed);
    ++count;
  });
  std::string names;
  for (const std::string& target : targets) names += (names.empty() ? "" : ", ") + target;
  GMAIL_INPUT(count > 0, "[lora] no linear layer is called ", names);
  return count;
}

GenClip GenClip::start(const ImageTower& f_r, const GenClipConfig& config, bool new_projection,
                       uint64_t seed) {
  GenClip g;
  g.config = config;
  g.f_g = f_r;  // shares f_r's frozen tensors
  add_lora([&](const auto& f) { g.f_g.each_linear(f); }, config.lora_targets, config.lora_rank,
           config.lora_alpha, seed);
  g.f_g.visual_projection = own_projection(f_r.visual_projection, "projection_generated");
  if (new_projection)
    init_normal(g.f_g.visual_projection.weight,
                1 / std::sqrt(static_cast<double>(f_r.class_embedding.value.numel())), seed);
  if (config.real_encoder == RealEncoder::lora)
    g.projection_real = own_projection(f_r.visual_projection, "projection_real");
  place(g.trainable(), f_r.class_embedding.value.device());
  return g;
}

ParamList GenClip::trainable() {
  ParamList params = lora_params(f_g);
  f_g.visual_projection.collect(params);
  if (projection_real) projection_real->collect(params);
  return params;
}

Var GenClip::encode_generated(Tape& tape, const Var& x_g) { return f_g.encode(tape, x_g); }

Var GenClip::encode_real(Tape& tape, ImageTower& f_r, const Var& x_r) {
  if (!projection_real) return f_r.encode(tape, x_r);              // Algorithm 1: f_r untouched
  return projection_real->forward(tape, f_g.features(tape, x_r));  // end of sec. 3.2
}

void GenClip::save(const std::filesystem::path& folder, const std::string& base_model) {
  make_dirs(folder);
  const nlohmann::json adapter{{"peft_type", "LORA"},
                               {"r", config.lora_rank},
                               {"lora_alpha", config.lora_alpha},
                               {"lora_dropout", 0.0},
                               {"target_modules", config.lora_targets},
                               {"bias", "none"},
                               {"fan_in_fan_out", false},
                               {"use_rslora", false},
                               {"use_dora", false},
                               {"init_lora_weights", true},
                               {"modules_to_save", nullptr},
                               {"base_model_name_or_path", base_model},
                               {"task_type", nullptr},
                               {"inference_mode", true}};
  save_params(folder / "adapter_model.safetensors", lora_params(f_g), {{"format", "pt"}}, StoreAs::as_is,
              kPeftPrefix);
  ParamList projections{&f_g.visual_projection.weight};
  if (projection_real) projections.push_back(&projection_real->weight);
  save_params(folder / "projections.safetensors", projections, {{"format", "pt"}});
  write_atomically(folder / "adapter_config.json", adapter.dump(2) + "\n");
}

GenClip GenClip::load(const std::filesystem::path& folder, const ImageTower& f_r) {
  const std::string file = (folder / "adapter_config.json").string();
  GenClipConfig config;
  try {
    const auto json = nlohmann::json::parse(read_text(file));
    GMAIL_INPUT(json.value("peft_type", "") == "LORA", file,
                ": field \"peft_type\": expected \"LORA\", found ",
                json.contains("peft_type") ? json["peft_type"].dump() : "nothing");
    config.lora_rank = json.at("r").get<int64_t>();
    config.lora_alpha = json.at("lora_alpha").get<double>();
    config.lora_targets = json.at("target_modules").get<std::vector<std::string>>();
  } catch (const nlohmann::json::exception& e) {
    throw InputError(concat(file, ": expected r, lora_alpha and target_modules: ", e.what()));
  }
  const SafetensorsFile projections(folder / "projections.safetensors");
  config.real_encoder = projections.has("projection_real.weight") ? RealEncoder::lora : RealEncoder::frozen;
  GenClip g = start(f_r, config, false, 0);
  g.load_lora(folder);
  ParamList wanted{&g.f_g.visual_projection.weight};
  if (g.projection_real) wanted.push_back(&g.projection_real->weight);
  load_params(projections, wanted);
  return g;
}

void GenClip::load_lora(const std::filesystem::path& folder) {
  load_params(SafetensorsFile(folder / "adapter_model.safetensors"), lora_params(f_g), kPeftPrefix);
}

void GenClip::merge() {
  f_g.each_linear([](Linear& l) { l.merge_lora(); });
}

}  // namespace gmail

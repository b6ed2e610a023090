#include "gmail/gen_clip_flow.h"

#include <algorithm>
#include <cmath>

#include "nn/param_file.h"

namespace gmail {
namespace {

constexpr const char* kProjections = "projections.safetensors";

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

std::vector<Linear*> block_layers(ImageTower& tower) {
  std::vector<Linear*> layers;
  tower.each_linear([&](Linear& l) { layers.push_back(&l); });
  return layers;
}

// The projections of an f_g whose blocks have their updates.
void start_projections(GenClip& g, const ImageTower& f_r, bool new_projection, uint64_t seed) {
  g.f_g.visual_projection = own_projection(f_r.visual_projection, "projection_generated");
  if (new_projection)
    init_normal(g.f_g.visual_projection.weight,
                1 / std::sqrt(static_cast<double>(f_r.class_embedding.value.numel())), seed);
  if (g.config.real_encoder == RealEncoder::lora)
    g.projection_real = own_projection(f_r.visual_projection, "projection_real");
  place(g.trainable(), f_r.class_embedding.value.device());
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
  GenClip g{config, f_r, {}};  // shares f_r's frozen tensors
  add_lora([&](const auto& f) { g.f_g.each_linear(f); }, config.lora_targets, config.lora_rank,
           config.lora_alpha, seed);
  start_projections(g, f_r, new_projection, seed);
  return g;
}

GenClip GenClip::start(const ImageTower& f_r, const GenClipConfig& config, bool new_projection, uint64_t seed,
                       const AdapterFile& init) {
  GMAIL_INPUT(init.weights.empty(), init.folder.string(), ": a start has LoRA matrices alone, found ",
              init.weights.front().name);
  GenClip g{config, f_r, {}};
  init.attach(block_layers(g.f_g));
  start_projections(g, f_r, new_projection, seed);
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
  write_adapter(folder, block_layers(f_g), base_model);
  ParamList projections{&f_g.visual_projection.weight};
  if (projection_real) projections.push_back(&projection_real->weight);
  save_params(folder / kProjections, projections, {{"format", "pt"}});
}

GenClip GenClip::load(const std::filesystem::path& folder, Clip& clip) {
  const AdapterFile adapter = AdapterFile::read(folder);
  GenClip g{{}, clip.image, {}};
  TextTower text = clip.text;  // a copy of the handles, so that a folder that does not fit changes nothing
  std::vector<Linear*> layers = block_layers(g.f_g);
  layers.push_back(&g.f_g.visual_projection);
  layers.push_back(&text.text_projection);
  text.each_linear([&](Linear& l) { layers.push_back(&l); });
  adapter.attach(layers);
  g.f_g.visual_projection.merge_lora();
  const Linear adapted = g.f_g.visual_projection;
  const bool alignment = std::filesystem::exists(folder / kProjections);
  g.f_g.visual_projection = own_projection(adapted, "projection_generated");
  ParamList wanted{&g.f_g.visual_projection.weight};
  if (alignment) {
    const SafetensorsFile projections(folder / kProjections);
    if (projections.has("projection_real.weight"))
      g.projection_real = own_projection(adapted, "projection_real");
    if (g.projection_real) wanted.push_back(&g.projection_real->weight);
    load_params(projections, wanted);
  } else {
    g.projection_real = own_projection(adapted, "projection_real");
  }
  g.config.real_encoder = g.projection_real ? RealEncoder::lora : RealEncoder::frozen;
  place(g.trainable(), clip.image.class_embedding.value.device());
  text.text_projection.merge_lora();
  text.each_linear([](Linear& l) { l.merge_lora(); });
  clip.text = std::move(text);
  return g;
}

void GenClip::merge() {
  f_g.each_linear([](Linear& l) { l.merge_lora(); });
}

}  // namespace gmail

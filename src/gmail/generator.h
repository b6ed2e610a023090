// The generator: a text-conditional diffusion model over the frozen text tower of a CLIP (as Stable
// Diffusion has it), trained on pairs of image and caption, and used to draw one image for each caption of
// D_r: that is D_g. A folder in diffusers' form: unet/{config.json, diffusion_pytorch_model.safetensors},
// scheduler/scheduler_config.json.
#pragma once

#include <map>

#include "core/recorded.h"
#include "data/loader.h"
#include "gmail/model_folder.h"
#include "models/diffusion.h"
#include "models/unet.h"
#include "train/trainer.h"

namespace gmail {

struct Generator {
  Unet unet;
  DiffusionConfig diffusion;

  [[nodiscard]] static Generator load(const std::filesystem::path& folder,
                                      Device device = Device::cpu);  // frozen
  void save(const std::filesystem::path& folder, StoreAs store = StoreAs::as_is);
};

// The frozen text tower's tokens, their mask and the end token's state, as the U-Net takes them.
struct TextContext {
  Var tokens, pooled;
  Tensor mask;
};
[[nodiscard]] TextContext text_context(const Context& ctx, ClipModel& text, const TextInput& input,
                                       bool pooled);

struct GeneratorOptions {
  std::filesystem::path manifest, cache;
  std::string split = "train";
  UnetConfig unet;
  DiffusionConfig diffusion;
  int64_t batch = 32;
  double text_dropout = 0.1;  // share of examples that see the empty text: what guidance needs
  bool flip = false;
  StoreAs store = StoreAs::as_is;
  TrainOptions train;
};

// Squared error of the prediction, eq. (3) of models/diffusion.h. Saves the moving average of the weights.
TrainReport train_generator(const Context& ctx, ClipModel& text, const GeneratorOptions& options);

struct SampleOptions {
  int steps = 20;
  double guidance = 3, clamp = 1;
  int64_t batch = 64;
  bool cuda_graph = false;  // on a GPU: a denoising step is recorded once and launched as one: the same bits
};

// Draws one image for each caption, with a seed each: an image depends on its caption and seed, not on the
// batch. Both halves of the guidance run in one batch, the text's keys and values are computed once. The
// host only says which step is next: the images stay on the device until they are done.
class ImageSampler {
 public:
  // generator and text must outlive it
  ImageSampler(const Context& ctx, Generator& generator, ClipModel& text, const SampleOptions& options);
  // (N, S, S, 3) in [-1, 1], on the CPU
  [[nodiscard]] Tensor draw(std::span<const std::string> captions, std::span<const uint64_t> seeds);

 private:
  struct Inputs {
    int64_t key = 0;        // of the graph
    Tensor x;               // (B, S, S, 3) float32
    Tensor waves, factors;  // of the step: (2 B, C), (6)
    TextKeys text;          // rows with the caption, then without
  };
  void put_text(Inputs& in, const TextInput& input) const;
  void step(const Context& ctx, Inputs& in) const;

  const Context& ctx_;
  Generator& g_;
  ClipModel& text_;
  const SampleOptions o_;
  RecordedWork recorded_;
  std::map<std::pair<int64_t, int64_t>, Inputs> inputs_;  // by images and tokens of a text
};
[[nodiscard]] Tensor sample_images(const Context& ctx, Generator& generator, ClipModel& text,
                                   std::span<const std::string> captions, std::span<const uint64_t> seeds,
                                   const SampleOptions& options);

struct GenerateOptions {
  std::filesystem::path manifest, out;  // real records; folder of the generated ones
  std::string split;                    // only records of this split, "" = all
  int64_t first_caption = 0, captions_per_image = 1;
  int64_t limit = 0;              // at most so many images, 0 = all
  std::string name = "tabletop";  // recorded as "generator"
  uint64_t seed = 0;
  SampleOptions sample;
  bool quiet = false;
  std::string command;
  nlohmann::json record;  // as in TrainOptions
};
struct GenerateReport {
  int64_t images = 0, already_there = 0;
  double seconds = 0;
};
// Draws D_g: out/images/<real id>_<caption>.png and out/manifest.jsonl. What is there already is kept and
// not drawn again; an interrupted run goes on where it stopped and ends in the same files.
GenerateReport generate(const Context& ctx, Generator& generator, ClipModel& text,
                        const GenerateOptions& options);

}  // namespace gmail

// gmail generator: trains the text-conditional diffusion model. gmail generate: draws D_g with it.
#include <iostream>

#include "cli/commands.h"
#include "cli/train_flags.h"
#include "gmail/generator.h"
#include "io/json.h"

namespace gmail::cli {
namespace {

struct TrainerOptions {
  TrainFlags train;
  std::string model, manifest, split = "train", cache, unet, prediction_type = "sample", schedule = "cosine",
                               store = "float32";
  double text_dropout = 0.1, time_shift = 0.8, time_spread = 0.8;
  bool flip = false;
};

void setup_trainer(Command& c, TrainerOptions& o) {
  o.train.batch = 32;
  o.train.beta2 = 0.98;
  o.train.warmup = 100;
  o.train.ema = 0.999;
  c.option("model", o.model, "CLIP folder whose frozen text tower reads the captions")->required();
  c.option("manifest", o.manifest, "images and captions (JSON lines)")->required();
  c.option("unet", o.unet, "config.json with the sizes (diffusers' form)")->required();
  c.option("split", o.split, "records to train on");
  c.option("cache", o.cache, "file that keeps the decoded images");
  c.option("prediction-type", o.prediction_type, "epsilon | v_prediction | sample");
  c.option("noise-schedule", o.schedule, "cosine | scaled_linear");
  c.option("text-dropout", o.text_dropout, "share of examples that see the empty text");
  c.option("time-shift", o.time_shift, "training times are sigmoid(shift + spread n), n normal");
  c.option("time-spread", o.time_spread, "see --time-shift");
  c.flag("flip", o.flip, "random horizontal flip");
  add_store_flag(c, o.store);
  add_train_flags(c, o.train);
}

void run_trainer(Command& c, TrainerOptions& o) {
  GeneratorOptions g;
  g.manifest = o.manifest;
  g.split = o.split;
  g.cache = o.cache;
  g.unet = UnetConfig::from_json(read_json(o.unet), o.unet);
  g.diffusion = {noise_schedule_of(o.schedule, "--noise-schedule"),
                 prediction_of(o.prediction_type, "--prediction-type"), o.time_shift, o.time_spread};
  g.batch = o.train.batch;
  g.text_dropout = o.text_dropout;
  g.flip = o.flip;
  g.store = store_as(o.store);
  g.train = train_options(c, o.train);
  ClipModel text = ClipModel::load(o.model, c.ctx().device);
  const TrainReport report = train_generator(c.ctx(), text, g);
  std::cout << "generator: " << report.steps << " steps, loss " << report.loss << ", " << o.train.out << '\n';
}

struct DrawOptions {
  std::string model, generator, manifest, out, split, name = "tabletop";
  int64_t first_caption = 0, captions = 1, limit = 0, batch = 64;
  int steps = 20;
  double guidance = 3, clamp = 1;
  bool cuda_graph = false, quiet = false;
};

void setup_draw(Command& c, DrawOptions& o) {
  c.option("model", o.model, "CLIP folder whose text tower the generator was trained with")->required();
  c.option("generator", o.generator, "generator folder")->required();
  c.option("manifest", o.manifest, "real records whose captions are drawn")->required();
  c.option("out", o.out, "folder for the images and their manifest")->required();
  c.option("split", o.split, "only records of this split");
  c.option("first-caption", o.first_caption, "index of the first caption of each record");
  c.option("captions", o.captions, "captions of each record, an image each");
  c.option("limit", o.limit, "at most so many images, 0 = all");
  c.option("name", o.name, "recorded as \"generator\"");
  c.option("steps", o.steps, "DDIM steps");
  c.option("guidance", o.guidance, "classifier-free guidance");
  c.option("clamp", o.clamp, "range of the predicted image, 0 = none");
  c.option("batch", o.batch, "images at a time");
  c.flag("cuda-graph", o.cuda_graph, "on a GPU: record a denoising step once, launch it as one");
  c.flag("quiet", o.quiet, "no progress");
}

void run_draw(Command& c, DrawOptions& o) {
  GMAIL_INPUT(o.batch >= 1, "--batch: expected at least 1, found ", o.batch);
  GenerateOptions g;
  g.manifest = o.manifest;
  g.out = o.out;
  g.split = o.split;
  g.first_caption = o.first_caption;
  g.captions_per_image = o.captions;
  g.limit = o.limit;
  g.name = o.name;
  g.seed = c.common().seed;
  g.sample = {o.steps, o.guidance, o.clamp, o.batch, o.cuda_graph};
  g.quiet = o.quiet;
  g.command = c.command_line();
  g.record = options_record(c);
  ClipModel text = ClipModel::load(o.model, c.ctx().device);
  Generator generator = Generator::load(o.generator, c.ctx().device);
  const GenerateReport report = generate(c.ctx(), generator, text, g);
  std::cout << "generate: " << report.images << " images drawn, " << report.already_there << " were there, "
            << o.out << "/manifest.jsonl\n";
}

}  // namespace

void add_generator(Program& program) {
  program.add<TrainerOptions>(program.app, "generator", "train the text-to-image generator", setup_trainer,
                              run_trainer);
  program.add<DrawOptions>(program.app, "generate", "draw an image for each caption", setup_draw, run_draw);
}

}  // namespace gmail::cli

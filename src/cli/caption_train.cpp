// gmail caption train: ClipCap on the embeddings of an arm.
#include <iostream>

#include "cli/arm_flags.h"
#include "cli/caption.h"
#include "cli/train_flags.h"

namespace gmail::cli {
namespace {

struct TrainerOptions {
  TrainFlags train;
  ArmFlags arm;
  int64_t prefix_length = 10, width = 128, layers = 3, max_tokens = 40;
  int heads = 4;
  bool raw_prefix = false;
};

void setup_trainer(Command& c, TrainerOptions& o) {
  o.train.beta2 = 0.98;
  o.train.warmup = 50;
  add_arm_flags(c, o.arm);
  c.option("prefix-length", o.prefix_length, "vectors that an image becomes");
  c.option("width", o.width, "width of the language model");
  c.option("layers", o.layers, "its blocks");
  c.option("heads", o.heads, "its attention heads");
  c.option("max-tokens", o.max_tokens, "longest caption in tokens; longer ones are cut");
  c.flag("raw-prefix", o.raw_prefix, "use embeddings as they are, not divided by their norm");
  add_train_flags(c, o.train);
}

void run_trainer(Command& c, TrainerOptions& o) {
  for (const auto& [name, value] : {std::pair("--prefix-length", o.prefix_length),
                                    {"--width", o.width},
                                    {"--layers", o.layers},
                                    {"--heads", int64_t{o.heads}},
                                    {"--max-tokens", o.max_tokens}})
    GMAIL_INPUT(value >= 1, name, ": expected at least 1, found ", value);
  GMAIL_INPUT(o.width % o.heads == 0, "--width ", o.width, ": expected a multiple of --heads ", o.heads);
  CaptionerOptions t;
  t.model.prefix_length = o.prefix_length;
  t.model.normalize_prefix = !o.raw_prefix;
  t.model.gpt.n_positions = o.prefix_length + o.max_tokens;
  t.model.gpt.n_embd = o.width;
  t.model.gpt.n_layer = o.layers;
  t.model.gpt.n_head = o.heads;
  t.batch = o.train.batch;
  t.train = train_options(c, o.train);
  ClipModel base = ClipModel::load(o.arm.model, c.ctx().device);
  const EmbeddedPairs data = load_arm_data(c, o.arm, base);
  const TrainReport report = train_captioner(c.ctx(), base.tokenizer, data, t);
  std::cout << "caption train: arm " << o.arm.arm << ", " << data.captions.size() << " pairs, "
            << report.steps << " steps, loss " << report.loss << ", " << o.train.out << '\n';
}

}  // namespace

void add_caption_train(Program& program, CLI::App& group) {
  program.add<TrainerOptions>(group, "train", "stage B: ClipCap on the embeddings of an arm", setup_trainer,
                              run_trainer);
}

}  // namespace gmail::cli

// gmail finetune-text: the text tower learns the embeddings of an arm.
#include <iostream>

#include "cli/arm_flags.h"
#include "cli/commands.h"
#include "cli/train_flags.h"

namespace gmail::cli {
namespace {

struct Options {
  TrainFlags train;
  ArmFlags arm;
  int64_t rank = 4;
  double alpha = 4;
  bool no_mask_duplicates = false;
};

void setup(Command& c, Options& o) {
  o.train.batch = 128;
  o.train.lr = 1e-4;
  add_arm_flags(c, o.arm);
  c.option("lora-rank", o.rank, "rank of the updates of the text tower, 0 = train all of it");
  c.option("lora-alpha", o.alpha, "the update is scaled by alpha / rank");
  c.flag("no-mask-duplicates", o.no_mask_duplicates, "equal captions count as negatives");
  add_train_flags(c, o.train);
}

void run(Command& c, Options& o) {
  GMAIL_INPUT(o.rank >= 0, "--lora-rank: expected 0 or more, found ", o.rank);
  TextTuningOptions t;
  t.lora_rank = o.rank;
  t.lora_alpha = o.alpha;
  t.batch = o.train.batch;
  t.mask_duplicates = !o.no_mask_duplicates;
  t.train = train_options(c, o.train);
  ClipModel base = ClipModel::load(o.arm.model, c.ctx().device);
  const EmbeddedPairs data = load_arm_data(c, o.arm, base);
  const TrainReport report = finetune_text(c.ctx(), o.arm.model, data, t);
  std::cout << "finetune-text: arm " << o.arm.arm << ", " << data.captions.size() << " pairs, "
            << report.steps << " steps, loss " << report.loss << ", " << o.train.out << '\n';
}

}  // namespace

void add_finetune_text(Program& program) {
  program.add<Options>(program.app, "finetune-text",
                       "stage B: the text tower learns the embeddings of an arm", setup, run);
}

}  // namespace gmail::cli

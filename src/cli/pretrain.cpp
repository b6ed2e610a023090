// gmail pretrain: a CLIP from scratch.
#include <iostream>

#include "cli/commands.h"
#include "cli/train_flags.h"
#include "gmail/pretrain.h"
#include "io/json.h"

namespace gmail::cli {
namespace {

struct Options {
  TrainFlags train;
  std::string manifest, split = "train", cache, tokenizer, model, store = "float32";
  int64_t vocab = 1024, chunk = 0, crop = 2;
  bool flip = false, checkpointing = false, no_mask_duplicates = false;
};

void setup(Command& c, Options& o) {
  o.train.lr = 2e-3;
  o.train.beta2 = 0.98;
  o.train.weight_decay = 0.05;
  o.train.warmup = 50;
  c.option("manifest", o.manifest, "real images and captions (JSON lines)")->required();
  c.option("model", o.model, "config.json with the sizes (Hugging Face's form)")->required();
  c.option("split", o.split, "records to train on");
  c.option("cache", o.cache, "file that keeps the decoded images");
  c.option("tokenizer", o.tokenizer, "folder with vocab.json and merges.txt; none: trained on the captions");
  c.option("vocab", o.vocab, "size of a new vocabulary");
  c.option("crop", o.crop, "random shift of up to so many pixels");
  c.flag("flip", o.flip, "random horizontal flip");
  c.option("chunk", o.chunk, "GradCache: pairs at a time, 0 = the whole batch");
  c.flag("checkpointing", o.checkpointing, "recompute each block's activations in the backward pass");
  c.flag("no-mask-duplicates", o.no_mask_duplicates, "equal captions count as negatives");
  add_store_flag(c, o.store);
  add_train_flags(c, o.train);
}

void run(Command& c, Options& o) {
  PretrainOptions p;
  p.manifest = o.manifest;
  p.split = o.split;
  p.cache = o.cache;
  p.tokenizer = o.tokenizer;
  p.model = ClipConfig::from_json(read_json(o.model), o.model);
  p.vocab = o.vocab;
  p.batch = o.train.batch;
  p.chunk = o.chunk;
  p.augment = {o.crop, o.flip};
  p.checkpointing = o.checkpointing;
  p.mask_duplicates = !o.no_mask_duplicates;
  p.store = store_as(o.store);
  p.train = train_options(c, o.train);
  const TrainReport report = pretrain(c.ctx(), p);
  std::cout << "pretrain: " << report.steps << " steps, loss " << report.loss << ", " << o.train.out << '\n';
}

}  // namespace

void add_pretrain(Program& program) {
  program.add<Options>(program.app, "pretrain", "train a CLIP from scratch on real images", setup, run);
}

}  // namespace gmail::cli

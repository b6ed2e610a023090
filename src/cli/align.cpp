// gmail align: stage A, eq. (1).
#include <iostream>

#include "cli/commands.h"
#include "cli/encoders.h"
#include "cli/train_flags.h"
#include "gmail/align.h"

namespace gmail::cli {
namespace {

struct Options {
  TrainFlags train;
  std::string model, manifest, real, adapter, split, projection = "copy", order = "shuffled",
                                                     augment = "none", real_encoder = "frozen";
  std::vector<std::string> targets{"q_proj", "k_proj", "v_proj", "out_proj"};
  int64_t rank = 4, image_size = 0;
  double alpha = 4, tau = 0.07;
  bool symmetric = false, no_mask_duplicates = false;
};

void setup(Command& c, Options& o) {
  o.train.batch = 256;
  o.train.lr = 1e-4;
  o.train.schedule = "cosine-restarts";
  c.option("model", o.model, "CLIP folder: f_r")->required();
  c.option("manifest", o.manifest, "generated records (and the real ones, unless --real)")->required();
  c.option("real", o.real, "manifest of the real records");
  c.option("split", o.split, "only generated records of this split");
  c.option("adapter", o.adapter,
           "PEFT folder to start from: layers, ranks, alphas and matrices are then its own");
  c.option("projection", o.projection, "copy | new: how \"Proj for Gen\" starts")->one_of({"copy", "new"});
  c.option("order", o.order, "shuffled | sequential (manifest order, wrapping around)")
      ->one_of({"shuffled", "sequential"});
  c.option("augment", o.augment, "none | crop")->one_of({"none", "crop"});
  c.option("real-encoder", o.real_encoder, "frozen (Algorithm 1) | lora (end of sec. 3.2)")
      ->one_of({"frozen", "lora"});
  c.option("lora-rank", o.rank, "rank of the updates");
  c.option("lora-alpha", o.alpha, "the update is scaled by alpha / rank");
  c.option("lora-targets", o.targets, "names of the linear layers that get LoRA");
  c.option("tau", o.tau, "temperature of eq. (1)");
  c.flag("align-symmetric", o.symmetric, "adds the real -> generated direction");
  c.flag("no-mask-duplicates", o.no_mask_duplicates,
         "the literal formula: same-caption pairs are negatives too");
  add_image_size(c, o.image_size);
  add_train_flags(c, o.train);
}

void run(Command& c, Options& o) {
  AlignOptions a;
  a.manifest = o.manifest;
  a.real_manifest = o.real;
  a.init = o.adapter;
  a.base_model = o.model;
  a.split = o.split;
  a.gen = {o.rank, o.alpha, o.targets, o.real_encoder == "lora" ? RealEncoder::lora : RealEncoder::frozen};
  a.new_projection = o.projection == "new";
  a.sequential = o.order == "sequential";
  a.crop = o.augment == "crop";
  a.symmetric = o.symmetric;
  a.mask_duplicates = !o.no_mask_duplicates;
  a.tau = o.tau;
  a.batch = o.train.batch;
  a.train = train_options(c, o.train);
  ClipModel base = ClipModel::load(o.model, c.ctx().device, {.hidden_act = {}, .image_size = o.image_size});
  const AlignReport report = align(c.ctx(), base, a);
  std::cout << "align: " << report.pairs << " pairs, " << report.train.steps << " steps, loss "
            << report.train.loss << ", paired cosine " << report.cosine_before << " -> "
            << report.cosine_after << ", trained " << 100 * report.trainable_share
            << "% of f_g's parameters, " << o.train.out << '\n';
}

}  // namespace

void add_align(Program& program) {
  program.add<Options>(program.app, "align", "stage A: align generated images with real ones (eq. 1)", setup,
                       run);
}

}  // namespace gmail::cli

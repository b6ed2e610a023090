#include "gmail/align.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "autograd/functions.h"
#include "core/parallel_for.h"
#include "data/loader.h"
#include "eval/embedding_stats.h"
#include "gmail/clip_flow.h"

namespace gmail {

Var alignment_loss(Tape& tape, const Var& z_g, const Var& z_r, double tau, bool symmetric,
                   const Tensor& group) {
  // logits are cosines / tau
  const Var log_scale(tape.ctx().full({1}, -std::log(tau), statistics_of(z_g.dtype())));
  return info_nce(tape, l2_normalize(tape, z_g), l2_normalize(tape, z_r), log_scale,
                  {.symmetric = symmetric, .group = group});  // eq. (1)
}

namespace {

// The pairs with their images: generated record g[i] and real record r[i] of the two stores.
struct PairSet {
  ImageStore generated, real;
  std::vector<int64_t> g, r;
};

PairSet load_pairs(const AlignOptions& o, const Preprocess& preprocess) {
  const Manifest all = read_manifest(o.manifest);
  const Manifest real_all = o.real_manifest.empty() ? all : read_manifest(o.real_manifest);
  Manifest generated = all, real = real_all;
  std::erase_if(generated.records, [&](const Record& r) {
    return !r.source.generated || (!o.split.empty() && r.split != o.split);
  });
  GMAIL_INPUT(generated.size() > 0, o.manifest.string(), ": no generated record",
              o.split.empty() ? "" : " of split \"" + o.split + "\"");
  std::erase_if(real.records, [](const Record& r) { return r.source.generated; });
  const std::vector<RecordPair> found = pairs(generated, real);
  // only the real images that a pair needs are decoded
  Manifest used = real;
  used.records.clear();
  std::unordered_map<int64_t, int64_t> place;
  std::vector<int64_t> r;
  for (const RecordPair& p : found) {
    const auto [it, added] = place.try_emplace(p.real, used.size());
    if (added) used.records.push_back(real[p.real]);
    r.push_back(it->second);
  }
  const StoreOptions options{.preprocess = preprocess, .cache = {}, .progress = {}};
  PairSet set{ImageStore(generated, options), ImageStore(used, options), {}, {}};
  for (size_t i = 0; i < found.size(); ++i) {  // a pair with a damaged image is left out
    if (!set.generated.usable(found[i].generated) || !set.real.usable(r[i])) continue;
    set.g.push_back(found[i].generated);
    set.r.push_back(r[i]);
  }
  return set;
}

std::vector<int64_t> pick(const std::vector<int64_t>& from, std::span<const int64_t> rows) {
  std::vector<int64_t> out;
  for (const int64_t row : rows) out.push_back(from[static_cast<size_t>(row)]);
  return out;
}

// the images of a step, shifted at random if `augment` says so
Tensor step_images(const ImageStore& store, std::span<const int64_t> rows, const Normalisation& norm,
                   const Augment& augment, uint64_t seed, int64_t step) {
  const auto B = static_cast<int64_t>(rows.size());
  Tensor images = Tensor::empty({B, store.size(), store.size(), 3});
  const Normaliser normaliser(norm);
  parallel_for(B, 8, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      float* out = images.data<float>() + b * store.size() * store.size() * 3;
      const auto pixels = store.pixels(rows[static_cast<size_t>(b)]);
      normaliser(out, pixels.data(), store.size(), draw_shift(augment, seed, step, b));
    }
  });
  return images;
}

Tensor groups_of(const std::vector<int64_t>& real_rows) {
  Tensor group = Tensor::empty({static_cast<int64_t>(real_rows.size())}, DType::int32);
  for (size_t i = 0; i < real_rows.size(); ++i) group.data<int32_t>()[i] = static_cast<int32_t>(real_rows[i]);
  return group;
}

nlohmann::json identity(const AlignOptions& o, const ClipModel& base, int64_t pairs) {
  return {{"model", base.clip.config.to_json()},
          {"lora", {o.gen.lora_rank, o.gen.lora_alpha}},
          {"lora_targets", o.gen.lora_targets},
          {"real_encoder", o.gen.real_encoder == RealEncoder::lora ? "lora" : "frozen"},
          {"projection", o.new_projection ? "new" : "copy"},
          {"init", o.init.string()},
          {"order", o.sequential ? "sequential" : "shuffled"},
          {"augment", o.crop ? "crop" : "none"},
          {"symmetric", o.symmetric},
          {"mask_duplicates", o.mask_duplicates},
          {"tau", o.tau},
          {"batch", o.batch},
          {"pairs", pairs}};
}

}  // namespace

AlignReport align(const Context& ctx, ClipModel& base, const AlignOptions& o) {
  GMAIL_INPUT(o.tau > 0, "[align] tau must be positive, got ", o.tau);
  ImageTower& f_r = base.clip.image;
  const PairSet set = load_pairs(o, base.preprocess);
  const uint64_t seed = o.train.seed;
  GenClip gen = o.init.empty()
                    ? GenClip::start(f_r, o.gen, o.new_projection, seed)
                    : GenClip::start(f_r, o.gen, o.new_projection, seed, AdapterFile::read(o.init));
  const bool cached =
      o.cache_real && !o.crop && !gen.projection_real;  // f_r(x_r) never changes: computed once
  const ImageEncoder real = real_encoder(f_r, &gen);
  const Tensor real_all = cached ? embed_all_images(ctx, real, set.real, base.preprocess.norm) : Tensor();

  AlignReport report;
  report.pairs = static_cast<int64_t>(set.g.size());
  const auto paired_cosine = [&] {
    const Tensor z_g = embed_images(ctx, generated_encoder(gen), set.generated, set.g, base.preprocess.norm);
    const Tensor z_r =
        cached ? take_rows(real_all, set.r) : embed_images(ctx, real, set.real, set.r, base.preprocess.norm);
    return pair_stats(z_g, z_r).cosine;
  };
  report.cosine_before = paired_cosine();

  const Sampler order(report.pairs, o.batch, o.train.seed, !o.sequential);
  const Augment augment{.crop_shift = o.crop ? 2 : 0, .flip = false};
  Tensor x_g, x_r, z_r, group;  // of the step; z_r if it is cached, else x_r
  const auto prepare = [&](int64_t k) -> int64_t {
    const std::vector<int64_t> rows = order.at(k);
    const std::vector<int64_t> g = pick(set.g, rows), r = pick(set.r, rows);
    ctx.put(x_g, step_images(set.generated, g, base.preprocess.norm, augment, o.train.seed, 2 * k));
    if (cached)
      ctx.put(z_r, take_rows(real_all, r));
    else
      ctx.put(x_r, step_images(set.real, r, base.preprocess.norm, augment, o.train.seed, 2 * k + 1));
    if (o.mask_duplicates) ctx.put(group, groups_of(r));
    return 0;
  };
  const auto compute = [&](const Context& step_ctx) -> StepResult {
    Tape tape(step_ctx);
    const Var g = gen.encode_generated(tape, Var(x_g));
    const Var r = cached ? Var(z_r) : gen.encode_real(tape, f_r, Var(x_r));
    const Var loss = alignment_loss(tape, g, r, o.tau, o.symmetric, group);
    tape.backward(loss);
    return {loss.value, {}, x_g.size(0)};
  };
  TrainOptions train_options = o.train;
  train_options.kind = "align";
  train_options.unit = "pairs";
  train_options.config = identity(o, base, report.pairs);
  const ParamList params = gen.trainable();
  ParamList all;
  gen.f_g.collect(all);
  report.trainable_share =
      static_cast<double>(count_elements(params)) / static_cast<double>(count_elements(all));
  report.train = train(ctx, train_options, params, StagedStep{prepare, compute});
  report.cosine_after = paired_cosine();
  gen.save(o.train.out, o.base_model);
  return report;
}

}  // namespace gmail

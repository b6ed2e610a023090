#include "gmail/arms.h"

#include "core/rng.h"

namespace gmail {

std::string name_of(Arm arm) {
  switch (arm) {
    case Arm::real:
      return "real";
    case Arm::generated:
      return "generated";
    case Arm::mixed:
      return "mixed";
    case Arm::gmail:
      return "gmail";
  }
  return "?";
}

Arm arm_of(const std::string& name) {
  for (const Arm arm : kArms)
    if (name == name_of(arm)) return arm;
  throw InputError(concat("arm: expected real, generated, mixed or gmail, found \"", name, "\""));
}

namespace {

std::vector<int64_t> side(const std::vector<RecordPair>& all, int64_t RecordPair::*which) {
  std::vector<int64_t> index;
  for (const RecordPair& p : all) index.push_back(p.*which);
  return index;
}

}  // namespace

EmbeddedPairs arm_data(const Context& ctx, Arm arm, ClipModel& base, GenClip& adapter,
                       const Manifest& generated, const Manifest& real, uint64_t seed) {
  const StoreOptions options{.preprocess = base.preprocess, .cache = {}, .progress = {}};
  const ImageStore generated_images(generated, options), real_images(real, options);
  std::vector<RecordPair> all = pairs(generated, real);
  // a pair with a damaged image is left out of every arm
  std::erase_if(all, [&](const RecordPair& p) {
    return !generated_images.usable(p.generated) || !real_images.usable(p.real);
  });
  const std::vector<int64_t> g = side(all, &RecordPair::generated), r = side(all, &RecordPair::real);
  EmbeddedPairs data;
  for (const RecordPair& p : all)
    data.captions.push_back(
        real[p.real].captions[static_cast<size_t>(generated[p.generated].source.caption)]);
  const ImageEncoder f_r = real_encoder(base.clip.image, nullptr);
  if (arm == Arm::gmail) {
    data.embeddings =
        embed_images(ctx, generated_encoder(adapter), generated_images, g, base.preprocess.norm);  // f_g(x_g)
    return data;
  }
  if (arm != Arm::real)
    data.embeddings = embed_images(ctx, f_r, generated_images, g, base.preprocess.norm);  // f_r(x_g)
  if (arm == Arm::generated) return data;
  const ImageEncoder real_side = real_encoder(base.clip.image, &adapter);
  const Tensor x_r = embed_images(ctx, real_side, real_images, r, base.preprocess.norm);  // f_r(x_r)
  if (arm == Arm::real) {
    data.embeddings = x_r;
    return data;
  }
  for (size_t i = 0; i < all.size(); ++i) {  // mixed: a coin for each pair
    if (!Rng(seed, Purpose::caption_choice, 1, i).chance(0.5)) continue;
    const auto row = static_cast<int64_t>(i);
    data.embeddings.rows(row, row + 1).copy_from(x_r.rows(row, row + 1));
  }
  return data;
}

}  // namespace gmail

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

EmbeddedPairs arm_data(const Context& ctx, Arm arm, ClipModel& base, GenClip& adapter,
                       const Manifest& generated, const Manifest& real, uint64_t seed,
                       const FeatureOptions& options) {
  // What an arm does not see is only asked whether it can be read, unless the other arms will find it in
  // the cache.
  const auto features = [&](ImageEncoder encoder, const Manifest& images, bool seen) {
    if (!seen && options.cache.empty()) encoder.encode = {};
    return image_features(ctx, encoder, images, base.preprocess, options);
  };
  const ImageEncoder of_generated =
      arm == Arm::gmail ? generated_encoder(adapter) : real_encoder(base.clip.image, nullptr);
  const ImageFeatures x_g = features(of_generated, generated, arm != Arm::real);  // f_g(x_g), or f_r(x_g)
  const ImageFeatures x_r = features(real_encoder(base.clip.image, &adapter), real,
                                     arm == Arm::real || arm == Arm::mixed);  // f_r(x_r)
  EmbeddedPairs data;
  std::vector<RecordPair> all = pairs(generated, real);
  // a pair with a damaged image is left out of every arm
  std::erase_if(all, [&](const RecordPair& p) {
    return x_g.usable[static_cast<size_t>(p.generated)] == 0 || x_r.usable[static_cast<size_t>(p.real)] == 0;
  });
  GMAIL_INPUT(!all.empty(), generated.file.string(), ": no pair of images can be read");
  data.embeddings = Tensor::empty({std::ssize(all), base.clip.config.projection_dim}, DType::float32);
  for (size_t i = 0; i < all.size(); ++i) {
    const RecordPair& p = all[i];
    data.captions.push_back(
        real[p.real].captions[static_cast<size_t>(generated[p.generated].source.caption)]);
    // mixed: a coin for each pair
    const bool from_real =
        arm == Arm::real || (arm == Arm::mixed && Rng(seed, Purpose::caption_choice, 1, i).chance(0.5));
    const int64_t from = from_real ? p.real : p.generated, row = static_cast<int64_t>(i);
    data.embeddings.rows(row, row + 1).copy_from((from_real ? x_r : x_g).z.rows(from, from + 1));
  }
  return data;
}

}  // namespace gmail

// The arms of the paper's comparison. They share every line of stage B and differ in the embeddings that it
// sees:
//   real        f_r(x_r)                 trained on real images: what one would have with real data
//   generated   f_r(x_g)                 generated images taken for real ones, no alignment
//   mixed       f_r(x_r) or f_r(x_g)     real and generated images indiscriminately, half and half
//   gmail       f_g(x_g)                 generated images through the aligned encoder
// Every arm sees the same captions, one an image, equally many images and equally many steps; all are
// evaluated on real images through f_r (or the adapter's reading of it).
#pragma once

#include "gmail/clip_flow.h"
#include "gmail/downstream.h"
#include "gmail/features.h"

namespace gmail {

enum class Arm : uint8_t { real, generated, mixed, gmail };
inline constexpr std::array<Arm, 4> kArms{Arm::real, Arm::generated, Arm::mixed, Arm::gmail};
[[nodiscard]] std::string name_of(Arm arm);
[[nodiscard]] Arm arm_of(const std::string& name);  // InputError for an unknown name

// The embeddings and captions that an arm trains on: one row for each generated record of the manifest,
// whose caption it is, and for `real` and `mixed` the real image that the record's pair names.
[[nodiscard]] EmbeddedPairs arm_data(const Context& ctx, Arm arm, ClipModel& base, GenClip& adapter,
                                     const Manifest& generated, const Manifest& real, uint64_t seed,
                                     const FeatureOptions& options = {});

}  // namespace gmail

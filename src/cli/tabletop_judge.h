// Zero-shot naming of single solids: each image gets the best of the 48 pairs of a colour and a shape ("a red
// ball", "a large red ball", "a small red ball"), and we count how often its colour, its shape and both are
// right.
#pragma once

#include "data/manifest.h"
#include "gmail/clip_flow.h"

namespace gmail::cli {

struct NamingAccuracy {
  double colour = 0, shape = 0, both = 0;  // percent
};

// images (N, E) of the manifest's records, whose labels are "red ball" and the like; texts by model's text
// tower
[[nodiscard]] NamingAccuracy name_solids(const Context& ctx, ClipModel& model, const Tensor& images,
                                         const Manifest& manifest);

}  // namespace gmail::cli

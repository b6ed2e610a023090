// Zero-shot naming of single solids: the prompts of the built-in world's colours, shapes and their 48 pairs,
// and the accuracies that image embeddings reach with a text tower.
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

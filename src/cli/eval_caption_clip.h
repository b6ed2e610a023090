// CLIPScore for eval caption.
#pragma once

#include <string>

#include "core/context.h"
#include "data/coco_captions.h"
#include "eval/clip_score.h"

namespace gmail::cli {

// Gives every image its file in the folder: the name that the annotations have, or else COCO's for its id.
// InputError for the first that is not there.
void find_images(const std::string& folder, CaptionSet& set);

// model: a CLIP folder. The images are CaptionToScore::image, the captions are taken as they stand.
[[nodiscard]] ClipScores score_with_clip(const Context& ctx, const std::string& model, const CaptionSet& set);

}  // namespace gmail::cli

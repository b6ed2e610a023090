// Captions in a file against the references of a manifest.
#pragma once

#include <string>

#include "data/coco_captions.h"

namespace gmail::cli {

// `captions`: lines {"caption": .., "id": ..} or {"caption": .., "image": ..}, the image as the manifest
// names it or as a path from here; "tokens" and "logprob" may stand there too. Every record of the split has
// exactly one line; lines of other records are passed over. The images are paths from here.
[[nodiscard]] CaptionSet read_manifest_captions(const std::string& manifest, const std::string& split,
                                                const std::string& captions);

}  // namespace gmail::cli

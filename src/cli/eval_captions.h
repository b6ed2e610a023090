// Captions in a file against the references of a manifest.
#pragma once

#include <nlohmann/json.hpp>

#include "data/manifest.h"

namespace gmail::cli {

// `file`: lines {"caption": .., "id": ..} or {"caption": .., "image": ..}, the image as the manifest names it
// or as a path from here; "tokens" and "logprob" may stand there too. Every record of the split has exactly
// one line; lines of other records are passed over. Both sides are lower-cased and split at white space
// ("tokens": "words"): the numbers are comparable with those of the same splitting only. BLEU and ROUGE-L in
// percent, CIDEr as it is defined (0 .. 10).
[[nodiscard]] nlohmann::ordered_json score_captions(const Manifest& manifest, const std::string& split,
                                                    const std::string& file);

}  // namespace gmail::cli

// Images that another program generated (Stable Diffusion, FLUX, ..), one for each caption of a real data
// set: JPEG or PNG files with the names
//   <id of the real record>_<index of the caption>
//   <id of the real record>_<index of the caption>_<k>      the k-th image of a caption
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "data/import_result.h"

namespace gmail {

// What the file names cannot tell; it goes into every record.
struct GeneratedBy {
  std::string generator;
  std::optional<int64_t> seed;
  std::optional<double> guidance;
  std::optional<int64_t> steps;
};

// Records in the order of the real manifest, then of captions, then of k: id "<id>_<index>[_<k>]", the one
// caption that was drawn, and split and label of the real record. Files of another name, of an unknown record
// or of a caption that it does not have are skipped and counted. `folder` is where the manifest will stand.
[[nodiscard]] Imported import_generated(const std::filesystem::path& images, const Manifest& real,
                                        const GeneratedBy& by, const std::filesystem::path& folder);

}  // namespace gmail

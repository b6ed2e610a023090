// Images of one's own: a folder, and a file of lines "NAME<TAB>CAPTION", several of them for an image if one
// likes.
#pragma once

#include <filesystem>
#include <string>

#include "data/import_result.h"

namespace gmail {

// Records in the order of the file, with the name less its extension as id (the whole name where that would
// not be unique). Captions of no image and images without captions are skipped and counted. `folder` is where
// the manifest will stand.
[[nodiscard]] Imported import_folder(const std::filesystem::path& images,
                                     const std::filesystem::path& captions, const std::string& split,
                                     const std::filesystem::path& folder);

}  // namespace gmail

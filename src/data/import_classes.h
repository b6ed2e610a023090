// Images in a folder for each class, as torchvision's ImageFolder has them: DIR/CLASS/.../NAME.jpg.
#pragma once

#include <filesystem>
#include <string>

#include "data/import_result.h"

namespace gmail {

// Records class by class in the order of their folders, then by path: id CLASS/.../NAME less the extension
// (with it where two files would have the same), label the class's name, and, since a record has a caption,
// "a photo of a NAME.", OpenAI's general prompt. The name is the folder's, with blanks for "_", or what
// `names`, a file of lines FOLDER<tab>NAME, says; there every folder with images must have a line.
// InputError if two folders would have one name (as "crane" in some lists of ImageNet's classes): their
// images could not be told apart. `folder` is where the manifest will stand.
[[nodiscard]] Imported import_classes(const std::filesystem::path& images, const std::filesystem::path& names,
                                      const std::string& split, const std::filesystem::path& folder);

}  // namespace gmail

// SPICE (Anderson et al. 2016, arXiv:1607.08822) by the authors' own program, which the user has: a folder
// with spice-1.0.jar and lib/ (there also Stanford CoreNLP 3.6.0), run by the java on the PATH. Nothing of
// it is imitated here.
#pragma once

#include <filesystem>
#include <vector>

#include "eval/caption_metrics.h"

namespace gmail {

struct SpiceOptions {
  std::filesystem::path folder;
  double timeout = 3600;  // seconds; then the program is killed, with all that it started
};

// InputError if the folder has no spice-1.0.jar or there is no java; done before long work elsewhere.
void check_spice(const SpiceOptions& options);

// F of all tuples of each image, and their mean, from the words joined by blanks as in the reference tool. An
// Error, with the last lines that the program said, if it fails, takes too long, or writes what cannot be
// read.
[[nodiscard]] CaptionScore spice(const std::vector<CaptionedImage>& images, const SpiceOptions& options);

}  // namespace gmail

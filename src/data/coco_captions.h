// What COCO's caption evaluation reads (Chen et al. 2015, arXiv:1504.00325):
//   annotations  {"images": [{"id", "file_name"?}], "annotations": [{"image_id", "id", "caption"}]}
//   results      [{"image_id", "caption"}]
// Other keys are passed over. An id is a whole number or a string, and 7 and "7" are one. Also what the
// evaluation has to say of such a pair of files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace gmail {

// How many there are of something, and the first of them by name.
struct Noted {
  int64_t count = 0;
  std::vector<std::string> first;
  void note(const std::string& name);
  [[nodiscard]] std::string text() const;  // "3 (7, 12, 19)", "5000 (7, 12, 19, ..)"
};

struct CaptionToScore {
  std::string id;
  std::string image;                    // its file, "" where nobody said
  std::string caption;                  // may be empty
  std::vector<std::string> references;  // at least one
};

struct CaptionSet {
  std::vector<CaptionToScore> images;  // those that are scored
  int64_t results = 0;                 // captions in the file of results, the ones below included
  Noted unknown;                       // results for images that the annotations do not have
  Noted duplicates;                    // further results for an image: the first one counts
  Noted missing;                       // images with references and no result
  Noted unreferenced;                  // images with a result and no reference
};

// Scored is every image that has both a result and a reference, as coco-caption does when it is given the
// images of the results, and in its order: that of the images in the annotations. References keep the order
// of the annotations, and all of them count, those with an id that came before too. An image is known if it
// is in "images", which may be left out, or has an annotation. InputErrors name file, line and field; so
// does a set with nothing to score.
[[nodiscard]] CaptionSet read_coco_captions(const std::filesystem::path& annotations,
                                            const std::filesystem::path& results);
// The same with a manifest's records for the images, and their captions for the references.
[[nodiscard]] CaptionSet read_coco_results(const Manifest& manifest, const std::filesystem::path& results);

}  // namespace gmail

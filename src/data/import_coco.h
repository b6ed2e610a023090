// COCO captions (Chen et al. 2015, arXiv:1504.00325), 2014 and 2017:
//   {"images": [{"id", "file_name", ..}], "annotations": [{"id", "image_id", "caption"}], ..}
// and flat lists [{"image_id", "caption"}] such as results, whose images bear COCO's own names.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/import_result.h"

namespace gmail {

struct CocoFiles {
  std::vector<std::filesystem::path> annotations;
  // holds the images, or folders train2014, val2014, train2017, .. of them as COCO's archives make
  std::filesystem::path images;
  std::string split = "train";
};

// Records in the order of the images, captions in the order of the annotations, trimmed; the image's number
// is the id. Skipped and counted: images that are not there, images without captions, empty captions,
// captions of no image, images and annotations whose id came before. `folder` is where the manifest will
// stand.
[[nodiscard]] Skips import_coco(const CocoFiles& files, const std::filesystem::path& folder,
                                const AddRecord& add);

}  // namespace gmail

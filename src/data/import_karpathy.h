// Karpathy's splits (Karpathy and Fei-Fei 2015, arXiv:1412.2306), dataset_coco.json and
// dataset_flickr30k.json:
//   {"images": [{"filename", "split", "sentences": [{"raw", ..}], ..}], ..}
// COCO's images have "filepath" and "cocoid" too.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/import_result.h"

namespace gmail {

// Splits are train, val, test and, in COCO's, restval: images of val2014 that are neither in val nor in test.
// The field trains on train and restval together (113,287 images).
enum class Restval { train, drop, keep };  // becomes train; is left out; stays a split of its own

struct KarpathyFiles {
  std::filesystem::path json;
  std::filesystem::path images;  // holds them, or the folders train2014 and val2014
  Restval restval = Restval::train;
};

// Records in the order of the file with all captions of an image ("raw", trimmed); the id is "cocoid", or
// else the file's name less its extension. Skipped and counted: images that are not there, whose id came
// before, or without captions; empty captions; dropped restval images. `folder` is where the manifest will
// stand.
[[nodiscard]] Skips import_karpathy(const KarpathyFiles& files, const std::filesystem::path& folder,
                                    const AddRecord& add);

struct KarpathyImage {
  std::string id, filename, filepath, split;
  std::vector<std::string> captions;
};
// Calls body(image) for each, as the file has it.
void for_each_karpathy(const std::filesystem::path& json,
                       const std::function<void(KarpathyImage& image)>& body);

}  // namespace gmail

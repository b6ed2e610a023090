// Flickr30k (Young et al. 2014, TACL 2): results_20130124.token with lines "NAME.jpg#N<TAB>CAPTION", or the
// text form of retrieval benchmarks, a header and lines "NAME.jpg,CAPTION". Which one it is, the first line
// tells.
#pragma once

#include <filesystem>
#include <string>

#include "data/import_result.h"

namespace gmail {

struct Flickr30kFiles {
  std::filesystem::path captions, images;
  std::filesystem::path karpathy;  // dataset_flickr30k.json, whose splits are taken; or nothing
  std::string split = "test";      // of all images, without Karpathy's
};

// Records in the order of the captions, with the name less ".jpg" as id. Images that Karpathy's file does not
// have get the split "none". Skipped and counted: images that are not there, empty captions, and captions
// that are listed twice (the same name and number). `folder` is where the manifest will stand.
[[nodiscard]] Skips import_flickr30k(const Flickr30kFiles& files, const std::filesystem::path& folder,
                                     const AddRecord& add);

}  // namespace gmail

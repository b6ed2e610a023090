// Flickr8k (Hodosh et al. 2013, JAIR 47): Flickr8k.token.txt with lines "NAME.jpg#N<TAB>CAPTION", a folder of
// images, and the lists Flickr_8k.{train,dev,test}Images.txt with one name a line.
#pragma once

#include <filesystem>

#include "data/import_result.h"

namespace gmail {

struct Flickr8kFiles {
  std::filesystem::path tokens, images, train, dev, test;
  // where they are in a folder of the data set: beside each other, the lists perhaps in splits/
  [[nodiscard]] static Flickr8kFiles in(const std::filesystem::path& folder);
};

// Records in the order of the token file, with the name less ".jpg" as id; split train, val (the dev list),
// test, or none for the images of no list. Captions of no image (the known lines of
// "2258277193_586949ec62.jpg.1") are skipped and counted; so are images without captions. `folder` is where
// the manifest will stand.
[[nodiscard]] Imported import_flickr8k(const Flickr8kFiles& files, const std::filesystem::path& folder);

}  // namespace gmail

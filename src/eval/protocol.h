// The retrieval test sets that papers report on, by name: which records, how many captions of each image,
// and how many of both there must be. Numbers of sets that differ in this cannot be compared.
//   coco-karpathy-5k         Karpathy & Fei-Fei 2015, COCO's test split: 5,000 images, 25,010 captions, or
//                            the first five of each image, 25,000
//   coco-val2017-5k-first5   COCO val2017, the first five captions (Long-CLIP, arXiv 2403.15378): 25,000
//   flickr30k-1k             Karpathy's test split of Flickr30k: 1,000 images, 5,000 captions
//   flickr30k-full           all of Flickr30k (Long-CLIP): 31,783 images, 158,915 captions
//   sharegpt4v-1k            the first 1,000 entries of ShareGPT4V (Long-CLIP), one long caption each
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "data/manifest.h"

namespace gmail {

// What the file names of a set look like, less the extension: the sets of two protocols may have equal
// counts.
enum class ImageNames : uint8_t { any, coco_val2014, twelve_digits, digits };

struct Protocol {
  std::string name;
  std::string split;  // "": all records
  int64_t first = 0;  // so many captions of each image; 0: all
  int64_t images = 0;
  std::vector<int64_t> texts;  // any of these
  ImageNames names = ImageNames::any;

  // "" if the counts are the protocol's, else "expected .., found .."
  [[nodiscard]] std::string mismatch(int64_t found_images, int64_t found_texts) const;
};
[[nodiscard]] const std::vector<Protocol>& protocols();
[[nodiscard]] std::string protocol_names();                          // "coco-karpathy-5k, .."
[[nodiscard]] const Protocol& protocol_of(const std::string& name);  // InputError if there is none

// The records of the protocol's split with its captions, and in `mismatch` what is not as it must be: the
// counts, or an image's name (not asked of images in shards).
struct ProtocolSet {
  Manifest manifest;
  std::string mismatch;
};
[[nodiscard]] ProtocolSet select(const Protocol& protocol, const Manifest& all);

// The texts of which an image has fewer than `first` before them, in order.
[[nodiscard]] std::vector<int64_t> first_texts(std::span<const int32_t> text_image, int64_t first);

}  // namespace gmail

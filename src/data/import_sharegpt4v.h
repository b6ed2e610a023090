// ShareGPT4V (Chen et al. 2023, arXiv:2311.12793), long captions:
//   [{"id", "image": "coco/train2017/000000000009.jpg", "conversations": [{"from": "human", "value"},
//     {"from": "gpt", "value": the caption}, ..]}, ..]
// The file of 1.2 million entries is 1.5 GB: it is streamed, in tens of megabytes of memory.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/import_result.h"

namespace gmail {

struct ShareGpt4vFiles {
  std::filesystem::path json, images;
  int64_t first = -1;  // only so many entries; -1 = all
  // So many of the first entries are the split "test" (Zhang et al. 2024, arXiv:2403.15378), the others
  // "train".
  int64_t test = 1000;
};

// Records in the order of the file, with the entry's id; the caption is what "gpt" says first. Skipped and
// counted: entries without an image, whose image is not there, without a caption, or whose id came before.
// `folder` is where the manifest will stand.
[[nodiscard]] Skips import_sharegpt4v(const ShareGpt4vFiles& files, const std::filesystem::path& folder,
                                      const AddRecord& add);

}  // namespace gmail

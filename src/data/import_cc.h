// Conceptual Captions (Sharma et al. 2018, ACL) and Conceptual 12M (Changpinyo et al. 2021,
// arXiv:2102.08981): a TSV file of captions and addresses, one image a line, of which a good part can no
// longer be had; and a folder of downloads. Their names come from the number of the line, from 0 on (a header
// does not count):
//   img2dataset   00012/000120034.jpg: in shard 12 the sample 34, with 10,000 samples a shard: line 120,034
//   index         120034.jpg, 000120034.jpg (9 digits) or 00120034.jpg (8 digits), all in one folder
// with .jpg, .jpeg or .png.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "data/import_result.h"

namespace gmail {

enum class CcOrder { automatic, caption_url, url_caption };  // CC3M has caption_url, CC12M url_caption
enum class CcNaming { automatic, img2dataset, index };

struct CcFiles {
  std::filesystem::path tsv, images;
  CcOrder order = CcOrder::automatic;     // of the header, or of the first line's address
  CcNaming naming = CcNaming::automatic;  // img2dataset if there is a folder 00000
  int64_t per_shard = 10000;
  std::string split = "train";
};

// Records in the order of the lines, streamed; the id is the file's name less its extension. Skipped and
// counted: lines without a downloaded image, empty captions. `folder` is where the manifest will stand.
[[nodiscard]] Skips import_cc(const CcFiles& files, const std::filesystem::path& folder,
                              const AddRecord& add);

}  // namespace gmail

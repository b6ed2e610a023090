// Images that another program generated (Stable Diffusion, FLUX, ..) from the captions of a real data set,
// and the captions that they were drawn from, found by
//   id       their names: <id of the real record>_<index of the caption>, with _<k> behind it for the k-th
//            image of a caption, or the id alone for caption 0
//   caption  the caption itself, in a file beside each (NAME.txt, NAME.json) or in their shard: equal to a
//            real one but for white space
//   index    their names, numbers that count the real manifest's captions from 0, record by record
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/import_shards.h"

namespace gmail {

enum class PairBy : uint8_t { id, caption, index };
[[nodiscard]] PairBy pair_by(const std::string& word);  // InputError if it is no word of the three

// What the file names cannot tell; it goes into every record.
struct GeneratedBy {
  std::string generator;
  std::optional<int64_t> seed;
  std::optional<double> guidance;
  std::optional<int64_t> steps;
};

struct GeneratedImages {
  std::vector<std::string> given;  // a folder of images, or shards and folders of them
  PairBy by = PairBy::id;
  CaptionSource caption;
};

struct ImportedPairs {
  Imported imported;
  int64_t real = 0;                // real records that have a generated image
  int64_t ambiguous = 0;           // images whose caption several real records have: skipped
  int64_t unmatched = 0;           // images of no real caption: skipped
  std::vector<std::string> notes;  // of list_shards
  // "7 paired with 4 real records, 0 ambiguous, 2 unmatched"
  [[nodiscard]] std::string pairing() const;
};

// Records in the order of the real manifest, then of captions, then of k or name: the id is the file's name
// less its extension (the sample's key in shards), with the one caption that was drawn, and split and label
// of the real record. What is skipped is counted by reason. `folder` is where the manifest will stand.
[[nodiscard]] ImportedPairs import_generated(const GeneratedImages& images, const Manifest& real,
                                             const GeneratedBy& by, const std::filesystem::path& folder);

}  // namespace gmail

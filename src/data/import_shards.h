// webdataset shards as img2dataset writes them: KEY.jpg, KEY.txt and KEY.json in tar archives [rom1504/
// img2dataset: README.md, "Output format"]. The manifest names places in the shards; nothing is unpacked.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/import_result.h"
#include "data/shards.h"

namespace gmail {

// Where a sample's caption is: "txt", or another suffix, for a member that is the caption; "json:FIELD" for a
// field of its .json, a string or a list of strings.
struct CaptionSource {
  std::string suffix = "txt", field;
  [[nodiscard]] static CaptionSource parse(const std::string& text);  // InputError if it is neither
};

// The captions in the text of a sample's .txt or .json, trimmed; a reason why there are none, or "".
[[nodiscard]] std::string read_captions(const CaptionSource& source, std::string_view text,
                                        std::vector<std::string>& captions);

// The shards of a list of files and folders; a folder stands for its *.tar in order. Other files of a folder
// (.parquet, _stats.json) are counted in `out` as skipped.
[[nodiscard]] std::vector<std::filesystem::path> find_shards(const std::vector<std::string>& given,
                                                             Imported& out);

// Samples that can be used, in order, and why the others cannot: no image, two, one that is neither JPEG nor
// PNG; no caption, an empty one, one that is not UTF-8; a .json that says the download failed.
struct ShardImage {
  std::string key;                    // SHARD/KEY, without ".tar", where two samples of the set have one key
  std::string image;                  // as a manifest in `folder` names it
  std::vector<std::string> captions;  // empty if none were asked for
};
[[nodiscard]] std::vector<ShardImage> shard_images(const std::vector<Shard>& shards,
                                                   const std::optional<CaptionSource>& caption,
                                                   const std::filesystem::path& folder, Imported& out);

// A record for each of them, the key being its id. `folder` is where the manifest will stand; `notes` says
// what list_shards had to say.
[[nodiscard]] Imported import_shards(const std::vector<std::string>& given, const CaptionSource& caption,
                                     const std::string& split, const std::filesystem::path& folder,
                                     std::vector<std::string>& notes);

}  // namespace gmail

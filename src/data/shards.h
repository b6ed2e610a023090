// webdataset's shards: tar archives in which adjacent members with one key make a sample
// [webdataset/webdataset: webdataset/tariterators.py]. Of a member's name, the key goes up to the first dot
// after the last slash, and the suffix, in lower case, is what follows that dot: "a.b/000012.seg.PNG" is
// "a.b/000012" and "seg.png". Nothing is unpacked: a sample is a list of places.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tar.h"

namespace gmail {

struct Sample {
  std::string key;  // without "./" in front
  struct File {
    std::string suffix;
    TarMember member;
  };
  std::vector<File> files;
  // the member with a suffix, or null
  [[nodiscard]] const TarMember* find(std::string_view suffix) const;
};

struct Samples {
  std::vector<Sample> samples;
  std::vector<std::string> without_key;  // names without a dot, or with one in front
};
// Names like "__x__" are webdataset's own and left out. InputError, naming file, key and offset, if a suffix
// comes twice in a sample. A key that comes back later is another sample.
[[nodiscard]] Samples group_samples(std::span<const TarMember> members, const std::string& file);

struct Shard {
  std::filesystem::path file;
  TarList list;
};
struct ShardList {
  std::vector<Shard> shards;       // in the order asked for
  int64_t from_index = 0;          // so many were listed by an index
  std::vector<std::string> notes;  // flaws of shards, an index that could not be read or written
};

constexpr const char* kShardIndex = "gmail.shards";
// What the shards hold. A file kShardIndex beside them keeps it, with the size and the time of change of each
// shard: a shard that is still as it was is not read again, another one is, and the index is written anew,
// as a whole or not at all. A folder that cannot be written to goes without. InputError if a shard is
// missing or damaged, or if the file kShardIndex is something else.
[[nodiscard]] ShardList list_shards(const std::vector<std::filesystem::path>& shards);

// One shard in an index, and the index as text:
//   gmail.shards.1
//   SIZE TIME OTHERS MEMBERS LENGTH NAME LENGTH FLAW     then a line for each of the members:
//   OFFSET SIZE LENGTH NAME
struct IndexedShard {
  std::string name;
  int64_t size = 0, time = 0;  // bytes; of the last change, in the file system's clock
  TarList list;
};
[[nodiscard]] std::string format_index(const std::vector<const IndexedShard*>& shards);
// Nothing if the text is damaged, or names a place outside a shard.
[[nodiscard]] std::optional<std::vector<IndexedShard>> parse_index(std::string_view text);

}  // namespace gmail

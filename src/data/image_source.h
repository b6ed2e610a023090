// Where an image's bytes are: in a file of their own, or in a tar shard, read in place. An image in a shard
// is named
//   SHARD.tar#MEMBER                 looked for through the shard's headers
//   SHARD.tar#MEMBER@OFFSET+SIZE     where its bytes are, as importers write it
// The names of both forms work wherever an image is named: in manifests and on the command line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "io/tar.h"

namespace gmail {

struct ShardName {
  std::filesystem::path shard;
  TarMember member;  // offset and size -1 where they are not given
};
// Nothing if the path has no ".tar#".
[[nodiscard]] std::optional<ShardName> shard_name(const std::filesystem::path& path);
[[nodiscard]] std::string shard_path(const std::filesystem::path& shard, const TarMember& member);

// The file on the disk that the bytes lie in: the shard, or `path` itself.
[[nodiscard]] std::filesystem::path file_of(const std::filesystem::path& path);

// The bytes, mapped. InputError if the file is missing, or the shard has no such member, or another one
// there.
class ImageBytes {
 public:
  explicit ImageBytes(const std::filesystem::path& path);
  [[nodiscard]] std::span<const std::byte> get() const { return bytes_; }

 private:
  MappedFile file_;
  std::span<const std::byte> bytes_;
};

}  // namespace gmail

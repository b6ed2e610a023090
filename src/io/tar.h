// tar archives read where they lie: POSIX ustar and pax, GNU (long names, sizes beyond octal), and the old
// v7 [POSIX.1-2017, pax: "ustar Interchange Format", "pax Extended Header"; GNU tar manual: "Basic Tar
// Format"]. Blocks of 512 bytes: a header, then the member's bytes, padded; two blocks of zeros end it.
// Strict: a checksum that differs, a member that the file is too short for, a number that is none, an
// unknown type, sparse and multi-volume members are InputErrors that name file, offset and member.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "io/files.h"

namespace gmail {

struct TarMember {
  std::string name;      // as it stands there, perhaps with "./" in front
  int64_t offset, size;  // of its bytes in the archive
  bool operator==(const TarMember&) const = default;
};

struct TarList {
  std::vector<TarMember> members;  // the regular files, in their order
  int64_t others = 0;              // folders, links, devices: they have no bytes
  // what GNU tar warns of and goes on: no end blocks, one of them alone, bytes behind them; "" if all is well
  std::string flaw;
};

// `file` is the name for messages.
[[nodiscard]] TarList list_tar(std::span<const std::byte> archive, const std::string& file);

// The bytes of a member whose place is known: refused unless a header that says `size` and, where it holds
// the whole name, ends in the same name after the last '/', stands in front of it.
[[nodiscard]] std::span<const std::byte> tar_member(std::span<const std::byte> archive,
                                                    const TarMember& member, const std::string& file);

}  // namespace gmail

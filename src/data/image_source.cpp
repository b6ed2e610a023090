#include "data/image_source.h"

#include <algorithm>
#include <charconv>

#include "core/check.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMark = ".tar#";

// "..@512+100" -> 512, 100, and the name is cut before it
bool take_place(TarMember& m) {
  const size_t mark = m.name.rfind('@');
  if (mark == std::string::npos || mark == 0) return false;
  const char *at = m.name.data() + mark + 1, *end = m.name.data() + m.name.size();
  TarMember out{m.name.substr(0, mark), -1, -1};
  const auto offset = std::from_chars(at, end, out.offset);
  if (offset.ec != std::errc() || offset.ptr == end || *offset.ptr != '+') return false;
  const auto size = std::from_chars(offset.ptr + 1, end, out.size);
  if (size.ec != std::errc() || size.ptr != end || out.offset < 0 || out.size < 0) return false;
  m = out;
  return true;
}

std::span<const std::byte> find_member(std::span<const std::byte> archive, const ShardName& name) {
  const std::string file = name.shard.string();
  if (name.member.offset >= 0) return tar_member(archive, name.member, file);
  const TarList list = list_tar(archive, file);
  const auto found = std::find_if(list.members.begin(), list.members.end(),
                                  [&](const TarMember& m) { return m.name == name.member.name; });
  GMAIL_INPUT(found != list.members.end(), file, ": no member \"", name.member.name, "\" among ",
              list.members.size());
  return archive.subspan(static_cast<size_t>(found->offset), static_cast<size_t>(found->size));
}

}  // namespace

std::optional<ShardName> shard_name(const fs::path& path) {
  const std::string& text = path.native();
  const size_t mark = text.find(kMark);
  if (mark == std::string::npos) return std::nullopt;
  const size_t end = mark + kMark.size();
  ShardName out{text.substr(0, end - 1), {text.substr(end), -1, -1}};
  (void)take_place(out.member);
  return out;
}

std::string shard_path(const fs::path& shard, const TarMember& member) {
  return concat(shard.string(), '#', member.name, '@', member.offset, '+', member.size);
}

fs::path file_of(const fs::path& path) {
  const std::optional<ShardName> name = shard_name(path);
  return name ? name->shard : path;
}

ImageBytes::ImageBytes(const fs::path& path) : file_(file_of(path)), bytes_(file_.bytes()) {
  if (const std::optional<ShardName> name = shard_name(path)) bytes_ = find_member(file_.bytes(), *name);
}

}  // namespace gmail

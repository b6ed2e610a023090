#include "io/tar.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>

#include "core/check.h"

namespace gmail {
namespace {

constexpr int64_t kBlock = 512;
constexpr int64_t kLongest = 1 << 20;  // bytes of a long name or of an extended header

// One header block; the fields lie at the same places in all formats.
struct Header {
  std::string_view block;
  [[nodiscard]] std::string_view field(size_t at, size_t size) const { return block.substr(at, size); }
  [[nodiscard]] std::string_view text(size_t at, size_t size) const {
    const std::string_view f = field(at, size);
    return f.substr(0, f.find('\0'));
  }
  [[nodiscard]] char type() const { return block[156]; }
  [[nodiscard]] bool posix() const { return field(257, 6) == std::string_view("ustar\0", 6); }
  [[nodiscard]] bool known() const {
    return posix() || field(257, 8) == std::string_view("ustar  \0", 8) ||
           field(257, 8) == std::string_view("\0\0\0\0\0\0\0\0", 8);
  }
  [[nodiscard]] bool zero() const { return block.find_first_not_of('\0') == std::string_view::npos; }
  // The prefix is POSIX's; GNU keeps times there.
  [[nodiscard]] std::string name() const {
    std::string whole(posix() ? text(345, 155) : "");
    if (!whole.empty()) whole += '/';
    return whole += text(0, 100);
  }
};

// Octal digits between blanks or zeros, or, with the first bit set, 256's digits (GNU); nothing if it is
// neither, negative or beyond int64.
std::optional<int64_t> number(std::string_view field) {
  const auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<unsigned char>(field[i])); };
  uint64_t value = 0;
  if (byte(0) >= 0x80) {
    if (byte(0) != 0x80) return std::nullopt;
    for (size_t i = 1; i < field.size(); ++i) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | byte(i);
    }
    return static_cast<int64_t>(value);
  }
  const size_t begin = std::min(field.find_first_not_of(' '), field.size());
  const size_t end = std::min(field.find_first_not_of("01234567", begin), field.size());
  if (field.find_first_not_of(std::string_view(" \0", 2), end) != std::string_view::npos) return std::nullopt;
  for (const char c : field.substr(begin, end - begin)) value = value << 3 | static_cast<uint64_t>(c - '0');
  return static_cast<int64_t>(value);  // 12 digits at most
}

// The bytes are summed as unsigned ones; some old programs took them as signed.
bool checksum_holds(const Header& h) {
  const std::optional<int64_t> stated = number(h.field(148, 8));
  int64_t plain = 8 * ' ', with_sign = 8 * ' ';
  for (size_t i = 0; i < h.block.size(); ++i) {
    if (i == 148) i += 8;
    plain += static_cast<unsigned char>(h.block[i]);
    with_sign += static_cast<signed char>(h.block[i]);
  }
  return stated && (*stated == plain || *stated == with_sign);
}

int64_t padded(int64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

class Lister {
 public:
  Lister(std::span<const std::byte> archive, const std::string& file)
      : bytes_(reinterpret_cast<const char*>(archive.data()), archive.size()), file_(file) {}

  TarList run() {
    while (at_ < size()) {
      GMAIL_INPUT(size() - at_ >= kBlock, where(), "expected a header of 512 bytes, found ", size() - at_);
      const Header header{bytes_.substr(static_cast<size_t>(at_), kBlock)};
      if (header.zero()) {
        end();
        return std::move(list_);
      }
      take(header);
    }
    no_pending();
    list_.flaw = "no end blocks: the archive may have been cut short between two members";
    return std::move(list_);
  }

 private:
  // What pax headers say of the next member, or of all that follow.
  struct Attributes {
    std::optional<std::string> path;
    std::optional<int64_t> size;
  };

  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(bytes_.size()); }
  [[nodiscard]] std::string where() const { return concat(file_, ": tar header at ", at_, ": "); }

  void no_pending() const {
    GMAIL_INPUT(!pending_, where(),
                "expected the member that the long name or extended header before it is of");
  }

  void end() {
    no_pending();
    const std::string_view rest = bytes_.substr(static_cast<size_t>(at_));
    const size_t other = rest.find_first_not_of('\0');
    if (rest.size() < 2 * kBlock)
      list_.flaw = "one end block instead of two";
    else if (other < 2 * kBlock)
      list_.flaw = concat("a lone block of zeros at ", at_, "; what follows it is not read");
    else if (other != std::string_view::npos)
      list_.flaw = concat("bytes behind the end of the archive, from ", at_ + static_cast<int64_t>(other),
                          " on; they are not read");
  }

  // The header's bytes, `size` of them, which must all be there.
  std::string_view data(int64_t size, const std::string& name) {
    const int64_t begin = at_ + kBlock, there = this->size() - begin;
    GMAIL_INPUT(size <= there, where(), "\"", name, "\" has ", size, " bytes, but only ", there,
                " are left in the file: it is cut short");
    return bytes_.substr(static_cast<size_t>(begin), static_cast<size_t>(size));
  }
  // A last member without its padding is whole.
  void pass(int64_t data_size) { at_ = std::min(size(), at_ + kBlock + padded(data_size)); }

  void take(const Header& h) {
    GMAIL_INPUT(checksum_holds(h), where(), "the checksum differs: damaged, or not a tar archive");
    GMAIL_INPUT(h.known(), where(), "neither ustar nor GNU nor v7");
    const std::optional<int64_t> stated = number(h.field(124, 12));
    GMAIL_INPUT(stated, where(), "field size: expected a number from 0 to 2^63 - 1");
    const char type = h.type();
    if (type == 'L' || type == 'K' || type == 'x' || type == 'g') return extension(type, *stated);
    const std::string name = next_.path ? *next_.path : all_.path ? *all_.path : h.name();
    const int64_t size = next_.size ? *next_.size : all_.size ? *all_.size : *stated;
    GMAIL_INPUT(!name.empty() || type == 'V', where(), "a member without a name");
    next_ = {};
    pending_ = false;
    member(type, name, size);
  }

  void member(char type, const std::string& name, int64_t size) {
    const bool regular = type == '0' || type == '\0' || type == '7';
    const bool folder = type == '5' || (type == '\0' && name.ends_with('/'));
    if (regular && !folder) {
      (void)data(size, name);
      list_.members.push_back({name, at_ + kBlock, size});
      return pass(size);
    }
    const bool empty = folder || (type >= '1' && type <= '6') || type == 'V';
    GMAIL_INPUT(empty, where(), "\"", name, "\" is of a type that is not read: ",
                type == 'S'   ? "a sparse file"
                : type == 'M' ? "the rest of a file of another volume"
                              : "",
                " '", type >= ' ' && type <= '~' ? type : '?', "' (", static_cast<int>(type), ")");
    GMAIL_INPUT(folder || size == 0, where(), "\"", name, "\", a link or device, has ", size, " bytes");
    ++list_.others;
    pass(0);
  }

  void extension(char type, int64_t size) {
    const bool gnu = type == 'L' || type == 'K';
    const std::string what = gnu ? "a long name" : "an extended header";
    GMAIL_INPUT(size <= kLongest, where(), what, " of ", size, " bytes, at most ", kLongest, " are read");
    const std::string_view text = data(size, what);
    pending_ = pending_ || type != 'g';
    if (type == 'L') next_.path = std::string(text.substr(0, text.find('\0')));
    if (!gnu) read_pax(text, type == 'g' ? all_ : next_);
    pass(size);
  }

  // "LENGTH KEY=VALUE\n", one after the other; the length is that of the whole record.
  void read_pax(std::string_view text, Attributes& out) const {
    while (!text.empty()) {
      size_t length = 0;
      const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), length);
      const auto digits = static_cast<size_t>(stop - text.data());
      const bool sane = error == std::errc() && length > digits + 1 && length <= text.size() &&
                        text[digits] == ' ' && text[length - 1] == '\n';
      const std::string_view record = sane ? text.substr(digits + 1, length - digits - 2) : "";
      const size_t equal = record.find('=');
      GMAIL_INPUT(sane && equal != std::string_view::npos && equal > 0, where(),
                  "extended header: expected \"LENGTH KEY=VALUE\\n\"");
      set(record.substr(0, equal), record.substr(equal + 1), out);
      text.remove_prefix(length);
    }
  }

  void set(std::string_view key, std::string_view value, Attributes& out) const {
    GMAIL_INPUT(!key.starts_with("GNU.sparse"), where(), "a sparse file, which is not read");
    if (key == "path") {
      GMAIL_INPUT(value.find('\0') == std::string_view::npos, where(), "path: a zero byte in the name");
      out.path = value.empty() ? std::nullopt : std::optional(std::string(value));
    }
    if (key != "size") return;
    int64_t size = 0;
    const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), size);
    GMAIL_INPUT(error == std::errc() && stop == value.data() + value.size() && size >= 0, where(),
                "size: expected a number from 0 to 2^63 - 1, found \"", value.substr(0, 40), "\"");
    out.size = size;
  }

  std::string_view bytes_;
  const std::string& file_;
  int64_t at_ = 0;
  Attributes next_, all_;
  bool pending_ = false;  // a header of the next member has been read
  TarList list_;
};

std::string_view after_slash(std::string_view name) { return name.substr(name.rfind('/') + 1); }

}  // namespace

TarList list_tar(std::span<const std::byte> archive, const std::string& file) {
  return Lister(archive, file).run();
}

std::span<const std::byte> tar_member(std::span<const std::byte> archive, const TarMember& member,
                                      const std::string& file) {
  const auto size = static_cast<int64_t>(archive.size());
  const std::string where = concat(file, ": \"", member.name, "\" at ", member.offset, ": ");
  GMAIL_INPUT(member.offset >= kBlock && member.offset % kBlock == 0 && member.size >= 0 &&
                  member.offset <= size && member.size <= size - member.offset,
              where, "not inside the archive of ", size, " bytes");
  const auto at = static_cast<size_t>(member.offset);
  const Header h{{reinterpret_cast<const char*>(archive.data()) + at - kBlock, kBlock}};
  GMAIL_INPUT(checksum_holds(h) && h.known(), where, "no member begins there: the archive has changed");
  // A name that a header has no room for, or no letters for, stands in a header before it.
  const bool plain = member.name.size() < 100 && std::all_of(member.name.begin(), member.name.end(),
                                                             [](char c) { return c >= ' ' && c <= '~'; });
  const bool same = number(h.field(124, 12)) == member.size &&
                    (!plain || after_slash(h.name()) == after_slash(member.name));
  GMAIL_INPUT(same, where, "another member is there: the archive has changed");
  return archive.subspan(at, static_cast<size_t>(member.size));
}

}  // namespace gmail

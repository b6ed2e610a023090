#include "data/name_set.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "core/check.h"

namespace gmail {
namespace {

constexpr int kPieceBits = 18;
constexpr size_t kPiece = size_t{1} << kPieceBits;

}  // namespace

std::string_view NameSet::at(uint32_t place) const {
  const std::string& piece = pieces_[place >> kPieceBits];
  const size_t begin = place & (kPiece - 1);
  uint32_t length = 0;
  std::memcpy(&length, piece.data() + begin, sizeof length);
  return std::string_view(piece).substr(begin + sizeof length, length);
}

size_t NameSet::find(std::string_view name) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = std::hash<std::string_view>()(name) & mask;
  while (slots_[slot] != 0 && at(slots_[slot] - 1) != name) slot = (slot + 1) & mask;
  return slot;
}

bool NameSet::contains(std::string_view name) const { return !slots_.empty() && slots_[find(name)] != 0; }

void NameSet::grow() {
  const std::vector<uint32_t> before = std::exchange(slots_, {});
  slots_.resize(before.empty() ? 16 : 2 * before.size());
  for (const uint32_t place : before)
    if (place != 0) slots_[find(at(place - 1))] = place;
}

bool NameSet::insert(std::string_view name) {
  if (static_cast<size_t>(count_) * 4 >= slots_.size() * 3) grow();
  const size_t slot = find(name);
  if (slots_[slot] != 0) return false;
  GMAIL_CHECK(name.size() <= UINT32_MAX, "a name of ", name.size(), " bytes");
  const auto length = static_cast<uint32_t>(name.size());
  const size_t bytes = sizeof length + name.size();
  if (pieces_.empty() || pieces_.back().size() + bytes > kPiece) {
    pieces_.emplace_back();
    pieces_.back().reserve(pieces_.size() == 1 ? bytes : std::max(kPiece, bytes));
  }
  std::string& piece = pieces_.back();
  const size_t place = (pieces_.size() - 1) << kPieceBits | piece.size();
  GMAIL_CHECK(place < UINT32_MAX, "more than four gigabytes of names");
  slots_[slot] = static_cast<uint32_t>(1 + place);
  piece.append(reinterpret_cast<const char*>(&length), sizeof length).append(name);
  ++count_;
  return true;
}

}  // namespace gmail

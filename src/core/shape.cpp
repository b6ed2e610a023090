#include "core/shape.h"

namespace gmail {

Shape::Shape(std::span<const int64_t> sizes) : rank_(static_cast<int>(sizes.size())) {
  GMAIL_CHECK(sizes.size() <= kMaxRank, "[shape] at most ", kMaxRank, " dimensions, got ", sizes.size());
  int64_t total = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    GMAIL_CHECK(sizes[i] >= 0, "[shape] negative size ", sizes[i], " in dimension ", i);
    GMAIL_CHECK(!__builtin_mul_overflow(total, sizes[i], &total), "[shape] too many elements");
    size_.at(i) = sizes[i];
  }
}

int64_t Shape::operator[](int i) const {
  const int at = i < 0 ? i + rank_ : i;
  GMAIL_CHECK(at >= 0 && at < rank_, "[shape] dimension ", i, " of ", str());
  return size_[static_cast<size_t>(at)];
}

int64_t Shape::numel() const {
  int64_t n = 1;
  for (const int64_t size : sizes()) n *= size;
  return n;
}

std::string Shape::str() const {
  std::string text = "(";
  for (int i = 0; i < rank_; ++i) text += (i > 0 ? "," : "") + std::to_string(size_[static_cast<size_t>(i)]);
  return text + ")";
}

Shape Shape::with(int i, int64_t size) const {
  const int at = i < 0 ? i + rank_ : i;
  GMAIL_CHECK(at >= 0 && at < rank_, "[shape] dimension ", i, " of ", str());
  Shape out = *this;
  out.size_[static_cast<size_t>(at)] = size;
  return out;
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.str(); }

}  // namespace gmail

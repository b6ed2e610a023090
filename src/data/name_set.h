// A set of strings, a million at a time, in little more than their bytes: ids and file names of a data set
// that is streamed. (1.2 million names of 20 bytes: some 35 MB; std::unordered_set<std::string>: 120.)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gmail {

class NameSet {
 public:
  bool insert(std::string_view name);  // false if it was there
  [[nodiscard]] bool contains(std::string_view name) const;
  [[nodiscard]] int64_t size() const { return count_; }

 private:
  [[nodiscard]] std::string_view at(uint32_t place) const;
  [[nodiscard]] size_t find(std::string_view name) const;  // its slot, or the free one where it belongs
  void grow();

  std::vector<std::string> pieces_;  // the length of a name (4 bytes), the name, the next
  std::vector<uint32_t> slots_;      // 0, or 1 + where a name stands
  int64_t count_ = 0;
};

}  // namespace gmail

// The merge rules of byte-pair encoding [Sennrich et al. 2016, arXiv:1508.07909]: of the pairs of neighbours
// that stand in a word the one with the lowest rank is joined, everywhere from the left, until no rule fits.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gmail {

class MergeRules {
 public:
  // The next rule in rank; of a pair that comes twice the later rank counts.
  void add(int32_t a, int32_t b, int32_t joined);
  // ids -> ids, in O(n log n)
  void apply(std::vector<int32_t>& ids) const;
  [[nodiscard]] const std::vector<std::pair<int32_t, int32_t>>& pairs() const { return pairs_; }

 private:
  struct Rule {
    uint32_t rank = 0;
    int32_t joined = 0;
  };
  [[nodiscard]] const Rule* find(int32_t a, int32_t b) const;
  std::vector<std::pair<int32_t, int32_t>> pairs_;  // by rank
  std::unordered_map<uint64_t, Rule> rules_;        // by the two ids
};

}  // namespace gmail

#include "data/bpe.h"

#include <functional>
#include <queue>

namespace gmail {
namespace {

uint64_t both(uint32_t high, uint32_t low) { return static_cast<uint64_t>(high) << 32U | low; }

}  // namespace

const MergeRules::Rule* MergeRules::find(int32_t a, int32_t b) const {
  const auto found = rules_.find(both(static_cast<uint32_t>(a), static_cast<uint32_t>(b)));
  return found == rules_.end() ? nullptr : &found->second;
}

void MergeRules::add(int32_t a, int32_t b, int32_t joined) {
  const Rule rule{static_cast<uint32_t>(pairs_.size()), joined};
  rules_.insert_or_assign(both(static_cast<uint32_t>(a), static_cast<uint32_t>(b)), rule);
  pairs_.emplace_back(a, b);
}

// The word is a linked list; a queue holds the pairs that can be joined, by rank, then by place. An entry
// whose pair has meanwhile gone is told by its rank. Pairs that a join makes wait until all of its rank are
// done.
void MergeRules::apply(std::vector<int32_t>& ids) const {
  const auto n = static_cast<uint32_t>(ids.size());
  std::vector<uint32_t> next(n), previous(n);
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> queue;
  const auto rule_at = [&](uint32_t i) { return next[i] < n ? find(ids[i], ids[next[i]]) : nullptr; };
  const auto push = [&](uint32_t i) {
    if (const Rule* rule = rule_at(i)) queue.push(both(rule->rank, i));
  };
  for (uint32_t i = 0; i < n; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;  // of the first: never asked for
  }
  for (uint32_t i = 0; i + 1 < n; ++i) push(i);
  std::vector<bool> gone(n, false);
  std::vector<uint32_t> joined;
  while (!queue.empty()) {
    const uint64_t rank = queue.top() >> 32U;
    joined.clear();
    for (; !queue.empty() && queue.top() >> 32U == rank; queue.pop()) {
      const auto i = static_cast<uint32_t>(queue.top());
      const Rule* rule = gone[i] ? nullptr : rule_at(i);
      if (rule == nullptr || rule->rank != rank) continue;
      ids[i] = rule->joined;
      gone[next[i]] = true;
      next[i] = next[next[i]];
      if (next[i] < n) previous[next[i]] = i;
      joined.push_back(i);
    }
    for (const uint32_t i : joined) {
      push(i);
      if (i > 0) push(previous[i]);
    }
  }
  uint32_t out = 0;
  for (uint32_t i = 0; i < n; i = next[i]) ids[out++] = ids[i];
  ids.resize(out);
}

}  // namespace gmail

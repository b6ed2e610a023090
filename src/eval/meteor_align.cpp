#include "eval/meteor_align.h"

#include <algorithm>
#include <cstdlib>
#include <span>

namespace gmail {
namespace {

constexpr int32_t kNone = -1;

// A partial alignment without the words it uses, or one that might be made out of such.
struct Path {
  int64_t matched = 0, chunks = 0, distance = 0;  // of closed chunks only
  int32_t next = 0;                               // the first word of the reference that is not decided
  int32_t chunk_end = kNone;                      // where the hypothesis would carry on; kNone: no open chunk
  int32_t history = kNone;                        // the last match that was taken, in Search::taken_
  int32_t parent = 0;                             // the path it comes from
  int32_t age = 0;
  const MeteorMatch* added = nullptr;
};

bool better(const Path& a, const Path& b) {
  if (a.matched != b.matched) return a.matched > b.matched;
  if (a.chunks != b.chunks) return a.chunks < b.chunks;
  if (a.distance != b.distance) return a.distance < b.distance;
  return a.age < b.age;
}

int64_t gain(const MeteorMatch& m) {
  const int32_t half = m.module == MeteorModule::exact ? 1 : 2;
  return m.hypothesis_length / half + m.reference_length / half;
}

int64_t distance(const MeteorMatch& m) { return std::abs(m.reference - m.hypothesis); }

void take(Path& p, const MeteorMatch& m) {
  p.matched += gain(m);
  if (p.chunk_end != kNone && m.hypothesis != p.chunk_end) ++p.chunks;
  p.next = m.reference + m.reference_length;
  p.chunk_end = m.hypothesis + m.hypothesis_length;
  p.added = &m;
}

void close_chunk(Path& p) {
  if (p.chunk_end != kNone) ++p.chunks;
  p.chunk_end = kNone;
}

class Search {
 public:
  Search(const MeteorMatches& possible, int beam)
      : possible_(possible),
        beam_(static_cast<size_t>(beam)),
        reference_begin_(possible.hypothesis_cover.size()),
        words_((possible.hypothesis_cover.size() + possible.at.size() + 63) / 64),
        fixed_(possible.at.size(), nullptr),
        used_(words_, 0) {
    fix_certain();
    paths_.emplace_back();
  }

  [[nodiscard]] std::vector<MeteorMatch> run() {
    for (size_t at = 0; at < possible_.at.size(); ++at) {
      made_.clear();
      for (size_t i = 0; i < paths_.size(); ++i) extend(i, static_cast<int32_t>(at));
      keep_best();
    }
    for (Path& p : paths_) close_chunk(p);
    const Path& best = *std::min_element(paths_.begin(), paths_.end(), better);
    std::vector<MeteorMatch> matches;
    for (int32_t i = best.history; i != kNone; i = taken_[static_cast<size_t>(i)].before)
      matches.push_back(*taken_[static_cast<size_t>(i)].match);
    std::reverse(matches.begin(), matches.end());
    return matches;
  }

 private:
  struct Taken {
    const MeteorMatch* match;
    int32_t before;  // in taken_
  };
  using Bits = std::span<uint64_t>;

  template <class Do>
  void each_word(const MeteorMatch& m, Do&& what) const {
    for (int32_t k = 0; k < m.hypothesis_length; ++k) what(static_cast<size_t>(m.hypothesis + k));
    for (int32_t k = 0; k < m.reference_length; ++k)
      what(reference_begin_ + static_cast<size_t>(m.reference + k));
  }
  void set_used(Bits bits, const MeteorMatch& m) const {
    each_word(m, [&](size_t w) { bits[w / 64] |= uint64_t{1} << (w % 64); });
  }
  [[nodiscard]] static bool is_used(Bits bits, size_t w) { return (bits[w / 64] >> (w % 64) & 1) != 0; }
  [[nodiscard]] bool is_used(Bits bits, const MeteorMatch& m) const {
    bool used = false;
    each_word(m, [&](size_t w) { used = used || is_used(bits, w); });
    return used;
  }
  [[nodiscard]] Bits bits_of(size_t path) { return Bits(used_).subspan(path * words_, words_); }

  // A match whose words stand in no other is in every alignment.
  void fix_certain() {
    for (size_t j = 0; j < possible_.at.size(); ++j) {
      if (possible_.at[j].size() != 1) continue;
      const MeteorMatch& m = possible_.at[j].front();
      bool certain = true;
      each_word(m, [&](size_t w) {
        certain = certain && (w < reference_begin_ ? possible_.hypothesis_cover[w]
                                                   : possible_.reference_cover[w - reference_begin_]) == 1;
      });
      if (!certain) continue;
      fixed_[j] = &m;
      set_used(bits_of(0), m);
    }
  }

  void make(Path p) {
    p.age = static_cast<int32_t>(made_.size());
    made_.push_back(p);
  }

  void extend(size_t index, int32_t at) {
    Path path = paths_[index];
    path.parent = static_cast<int32_t>(index);
    path.added = nullptr;
    if (at < path.next) return make(path);  // inside a match
    if (const MeteorMatch* m = fixed_[static_cast<size_t>(at)]) {
      take(path, *m);
      path.distance += distance(*m);
      return make(path);
    }
    const Bits bits = bits_of(index);
    for (const MeteorMatch& m : possible_.at[static_cast<size_t>(at)]) {
      if (is_used(bits, m)) continue;
      Path with = path;
      take(with, m);
      make(with);
      path.distance += distance(m);  // METEOR's way: what comes later pays for what was passed over
    }
    close_chunk(path);
    ++path.next;
    make(path);
  }

  void keep_best() {
    const size_t kept = std::min(beam_, made_.size());
    std::partial_sort(made_.begin(), made_.begin() + static_cast<std::ptrdiff_t>(kept), made_.end(), better);
    made_.resize(kept);
    next_used_.resize(kept * words_);
    for (size_t i = 0; i < kept; ++i) {
      Path& p = made_[i];
      const Bits bits = Bits(next_used_).subspan(i * words_, words_),
                 old = bits_of(static_cast<size_t>(p.parent));
      std::copy(old.begin(), old.end(), bits.begin());
      p.age = static_cast<int32_t>(i);
      if (p.added == nullptr) continue;
      set_used(bits, *p.added);
      taken_.push_back({p.added, p.history});
      p.history = static_cast<int32_t>(taken_.size() - 1);
    }
    std::swap(paths_, made_);
    std::swap(used_, next_used_);
  }

  const MeteorMatches& possible_;
  size_t beam_, reference_begin_;  // the bits of the hypothesis's words, then those of the reference's
  size_t words_;                   // of 64 bits, for one path
  std::vector<const MeteorMatch*> fixed_;  // for each word of the reference
  std::vector<uint64_t> used_, next_used_;
  std::vector<Path> paths_, made_;
  std::vector<Taken> taken_;
};

}  // namespace

void MeteorMatches::add(const MeteorMatch& m) {
  at[static_cast<size_t>(m.reference)].push_back(m);
  for (int32_t k = 0; k < m.reference_length; ++k) ++reference_cover[static_cast<size_t>(m.reference + k)];
  for (int32_t k = 0; k < m.hypothesis_length; ++k) ++hypothesis_cover[static_cast<size_t>(m.hypothesis + k)];
}

std::vector<MeteorMatch> meteor_align(const MeteorMatches& possible, int beam) {
  return Search(possible, beam).run();
}

int64_t meteor_chunks(const std::vector<MeteorMatch>& matches) {
  int64_t chunks = 0;
  int32_t reference = kNone, hypothesis = kNone;
  for (const MeteorMatch& m : matches) {
    if (m.reference != reference || m.hypothesis != hypothesis) ++chunks;
    reference = m.reference + m.reference_length;
    hypothesis = m.hypothesis + m.hypothesis_length;
  }
  return chunks;
}

}  // namespace gmail

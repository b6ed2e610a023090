// Cosine scores between two sets of embeddings, row by row and in bounded memory: what retrieval,
// classification and the embedding statistics stand on. A score depends on its two rows alone, never on where
// they stand or on the number of threads, so equal rows have equal scores to the last bit and ties are real.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace gmail {

// The rows of an (N, E) float32 tensor divided by their length: normalised in double, kept in float, each row
// padded with zeros to whole vectors. A row that is not finite or has length zero is refused with `name` and
// its index.
class UnitRows {
 public:
  static constexpr int64_t kRowPad = 16;  // rows of zeros follow the last, up to a multiple of this
  UnitRows(const Tensor& embeds, std::string_view name);
  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] int64_t width() const { return width_; }    // E
  [[nodiscard]] int64_t stride() const { return stride_; }  // E rounded up to whole vectors
  [[nodiscard]] const float* row(int64_t i) const { return values_.data() + i * stride_; }

 private:
  int64_t rows_, width_, stride_;
  std::vector<float> values_;  // (rows rounded up to kRowPad, stride)
};

// The cosines of queries [query, query + rows) and gallery rows [gallery, gallery + columns): at(r, c).
struct ScoreBlock {
  int64_t query = 0, rows = 0, gallery = 0, columns = 0;
  const float* scores = nullptr;  // (rows, columns), rows `stride` apart
  int64_t stride = 0;
  [[nodiscard]] const float* row(int64_t r) const { return scores + r * stride; }
};
// Calls body(block) for blocks that cover the whole matrix, from several threads; the blocks of one query
// come on one thread. By the fast matrix product: for sets whose matrix would not fit anywhere. The bits may
// differ from those of for_each_score_row.
void for_each_score_block(const UnitRows& queries, const UnitRows& gallery,
                          const std::function<void(const ScoreBlock&)>& body);
// partner[q] is a gallery row for each query: the cosines of these pairs, with the bits that they have in a
// block.
[[nodiscard]] std::vector<float> paired_scores(const UnitRows& queries, const UnitRows& gallery,
                                               std::span<const int32_t> partner);

// Calls body(q, scores) once for every query q, from several threads; scores[g] is the cosine of query q and
// gallery row g. Each thread holds the scores of a few queries against the whole gallery, never the whole
// matrix.
void for_each_score_row(const UnitRows& queries, const UnitRows& gallery,
                        const std::function<void(int64_t q, std::span<const float> scores)>& body);

}  // namespace gmail

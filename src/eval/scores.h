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
  UnitRows(const Tensor& embeds, std::string_view name);
  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] int64_t width() const { return width_; }    // E
  [[nodiscard]] int64_t stride() const { return stride_; }  // E rounded up to whole vectors
  [[nodiscard]] const float* row(int64_t i) const { return values_.data() + i * stride_; }

 private:
  int64_t rows_, width_, stride_;
  std::vector<float> values_;  // (rows rounded up to whole tiles, stride)
};

// Calls body(q, scores) once for every query q, from several threads; scores[g] is the cosine of query q and
// gallery row g. Each thread holds the scores of a few queries against the whole gallery, never the whole
// matrix.
void for_each_score_row(const UnitRows& queries, const UnitRows& gallery,
                        const std::function<void(int64_t q, std::span<const float> scores)>& body);

}  // namespace gmail

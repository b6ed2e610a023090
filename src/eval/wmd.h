// Word mover's distance of captions (Kusner et al. 2015, ICML, "From word embeddings to document distances")
// as a similarity (Kilickaya et al. 2017, arXiv:1612.07600):
//   (1)  WMD(a, b) = min_T sum_ij T_ij |x_i - x_j|,  sum_j T_ij = a_i, sum_i T_ij = b_j
//   (2)  score     = max_r exp(-WMD(hypothesis, r)),  its mean over the images
// a_i is the share of word i among the words of a that count: no stop word, and none without a vector. The
// transport is exact. A caption in which no word counts has an infinite distance to all others, and scores
// 0, as gensim's wmdistance gives.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "eval/caption_metrics.h"
#include "eval/word_vectors.h"

namespace gmail {

// The 179 English stop words of NLTK's list (before it grew in 2024), in lower case.
[[nodiscard]] const std::unordered_set<std::string>& english_stop_words();

// The words whose vectors wmd() asks for: all that occur, without stop words.
[[nodiscard]] std::unordered_set<std::string> wmd_vocabulary(const std::vector<CaptionedImage>& images);

[[nodiscard]] double word_mover_distance(const Words& a, const Words& b, const WordVectors& vectors);   // (1)
[[nodiscard]] CaptionScore wmd(const std::vector<CaptionedImage>& images, const WordVectors& vectors);  // (2)

}  // namespace gmail

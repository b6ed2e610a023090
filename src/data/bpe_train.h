// Learns the merges of data/tokenizer.h from text [Sennrich et al. 2016, arXiv:1508.07909, algorithm 1].
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/tokenizer.h"

namespace gmail {

// Joins, again and again, the pair of neighbours that occurs most often in the captions, each word counted as
// often as it occurs; among equals the first in lexicographic order of the two tokens. So the result depends
// on the captions alone, not on their order. Stops at vocab_size (at least 514: no merge), or when no pair
// occurs twice.
[[nodiscard]] Tokenizer train_bpe(std::span<const std::string> captions, int64_t vocab_size);

}  // namespace gmail

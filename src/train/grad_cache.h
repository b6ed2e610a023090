// Gradient caching (Gao et al. 2021, arXiv:2101.06983): the exact gradients of a contrastive loss over a
// large batch with the memory of a small one. The batch is cut into chunks:
//   (1)  y_c = encode(chunk c) for every c, activations thrown away at once
//   (2)  L = loss(Y),   Y = all y_c one below the other,   G = dL/dY
//   (3)  encode(chunk c) again, backward from y_c with G_c; parameter gradients add up over the chunks
#pragma once

#include <functional>
#include <vector>

#include "autograd/tape.h"

namespace gmail {

// The embeddings (n_c, E) of chunk c, one Var for each tower (images, texts). It is called twice for each
// chunk and must return the same bits: random numbers keyed by step and example, no state. The second time
// (`again`) it may return an absent Var for a tower that is not trained.
using EncodeChunk = std::function<std::vector<Var>(Tape& tape, int64_t chunk, bool again)>;

// The one-element loss of the whole batch's embeddings (N, E), in the order of the towers. Parameters that it
// uses itself (a logit scale) get their gradients as usual.
using BatchLoss = std::function<Var(Tape& tape, const std::vector<Var>& embeddings)>;

// Adds the gradients to the parameters' slots and returns the loss (1).
[[nodiscard]] Tensor grad_cached_step(const Context& ctx, int64_t chunks, const EncodeChunk& encode,
                                      const BatchLoss& loss);

}  // namespace gmail

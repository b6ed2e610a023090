// Zero-shot classification with an ensemble of prompts (Radford et al. 2021, arXiv:2103.00020, sec. 3.1.4):
//   (1)  w_c = normalise( mean over the prompts p of class c of  normalise(h(p)) )
//   (2)  class of image x = argmax_c  cos(f(x), w_c);  equal scores: the lower class
#pragma once

#include <vector>

#include "core/tensor.h"

namespace gmail {

// eq. (1): prompt_embeds (P, E) float32, prompt_class (P) int32 in 0 .. classes-1; every class has a prompt.
// Returns (classes, E).
[[nodiscard]] Tensor class_weights(const Tensor& prompt_embeds, const Tensor& prompt_class, int64_t classes);

// eq. (2): image_embeds (N, E), weights (classes, E). Returns (N) int32.
[[nodiscard]] Tensor classify(const Tensor& image_embeds, const Tensor& weights);

struct Accuracy {
  double top1 = 0;                // percent of the images
  double mean_per_class = 0;      // mean over the classes that have images of the percent of their images
  std::vector<double> per_class;  // percent; -1 for a class without images
  int64_t images = 0;
};

// predicted and labels (N) int32, labels in 0 .. classes-1
[[nodiscard]] Accuracy accuracy(const Tensor& predicted, const Tensor& labels, int64_t classes);

// Percent of the images whose class is among the k best of eq. (2): 100 where there are only k classes.
// labels (N) int32, the rest as for classify
[[nodiscard]] double top_k(const Tensor& image_embeds, const Tensor& weights, const Tensor& labels,
                           int64_t k);

}  // namespace gmail

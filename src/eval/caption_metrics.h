// BLEU, ROUGE-L and CIDEr of captions that are already split into words, with the arithmetic of coco-caption
// (tylin/coco-caption, pycocoevalcap). Published numbers also need its PTB tokenizer and COCO's references:
// what these functions give on other words is comparable within one table only, and is to be named so.
//
// BLEU-n (Papineni et al. 2002), over the whole corpus, n-gram counts clipped by their maximum over the
// references:
//   (1)  BLEU-n = ( prod_{k<=n} (correct_k + 1e-15) / (guess_k + 1e-9) )^(1/n) * min(1, exp(1 - 1/ratio)),
//        ratio = (hypothesis length + 1e-15) / (reference length + 1e-9); of an image's references the one
//        closest in length counts, the shorter of two
// ROUGE-L (Lin 2004), b = 1.2; the maxima over the references are taken apart from each other:
//   (2)  F = (1 + b^2) P R / (R + b^2 P),   P = max_r LCS / |hypothesis|,  R = max_r LCS / |r|
// CIDEr (Vedantam et al. 2015, arXiv:1411.5726), without stemming; g runs over the n-grams, tf is a raw
// count:
//   (3)  v(g) = tf(g) (ln N - ln max(1, df(g))),   N images, df of them have g in a reference
//   (4)  CIDEr   = 10 mean_n mean_r  sum_g h(g) r(g) / (|h| |r|)
//   (5)  CIDEr-D = 10 mean_n mean_r  sum_g min(h(g), r(g)) r(g) / (|h| |r|) * exp(-(len_h - len_r)^2 / (2 *
//   6^2))
//        len counted in bigrams. This is what coco-caption calls "CIDEr".
//        Both are 0 for a single image: ln N = 0. The paper stems the words first; a caller who wants that
//        passes stems.
// A token with a no-break space inside, as the tokenizer makes of "2 1/2", counts as two words in BLEU and
// CIDEr and as one in ROUGE-L: the reference splits a caption in two ways.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace gmail {

using Words = std::vector<std::string>;

struct CaptionedImage {
  Words hypothesis;               // may be empty: scores 0
  std::vector<Words> references;  // at least one
};

struct Bleu {
  std::array<double, 4> score{};            // BLEU-1 .. BLEU-4 of the corpus, 0 .. 1
  std::vector<std::array<double, 4>> each;  // of each image by itself, as a corpus of one
  std::array<int64_t, 4> correct{}, guess{};
  int64_t hypothesis_length = 0, reference_length = 0;
};

struct CaptionScore {
  double mean = 0;
  std::vector<double> each;  // in the order of the images
};

// An image without references, or no image at all, is refused as bad input.
[[nodiscard]] Bleu bleu(const std::vector<CaptionedImage>& images);             // eq. (1)
[[nodiscard]] CaptionScore rouge_l(const std::vector<CaptionedImage>& images);  // eq. (2)
[[nodiscard]] CaptionScore cider(const std::vector<CaptionedImage>& images);    // eq. (4)
[[nodiscard]] CaptionScore cider_d(const std::vector<CaptionedImage>& images);  // eq. (5)

}  // namespace gmail

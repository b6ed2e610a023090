// What CLIP's image processor does to an image before a tower sees it, and the file that says so,
// preprocessor_config.json [huggingface/transformers: CLIPImageProcessor on Pillow's images, which version 5
// calls CLIPImageProcessorPil; its torchvision twin resizes with other roundings]:
//   (1) the image as RGB, alpha dropped (image.h); transformers 5 lays transparent pixels on white first
//   (2) resized (resize.h): the short side becomes `size`, the long one floor(size long / short); or both
//       sides become what is asked for
//   (3) the centre of crop_width x crop_height, from floor((side - crop) / 2); black where there is no image
//   (4) y = (float32(v * rescale_factor) - mean) / std (augment.h)
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "data/augment.h"
#include "data/resize.h"

namespace gmail {

constexpr int64_t kMaxSide = 1 << 16;  // of what a file may ask for

enum class Resizing { none, short_side, exact };
// Where the centre begins on a side with `spare` = side - crop pixels more than are needed.
//   hf      floor(spare / 2); black pixels if it is negative
//   openai  torchvision's CenterCrop: spare / 2 rounded half to even; padded by floor(-spare / 2) first if
//           it is negative
enum class CropRule { hf, openai };

struct Preprocess {
  Resizing resizing = Resizing::short_side;
  int64_t width = 224, height = 224;  // after resizing; for short_side both are the short side
  Resample resample;
  bool centre_crop = true;
  int64_t crop_width = 224, crop_height = 224;
  CropRule crop_rule = CropRule::hf;
  Normalisation norm = kClipNormalisation;

  // Short side and crop of `size` pixels.
  [[nodiscard]] static Preprocess square(int64_t size, const Normalisation& norm = kClipNormalisation);

  // The same for images of another size: every side becomes it.
  [[nodiscard]] Preprocess for_size(int64_t size) const;

  // do_resize, size (number, shortest_edge, or height and width), resample (2 or 3), do_center_crop,
  // crop_size (number, or height and width), do_rescale, rescale_factor, do_normalize, image_mean, image_std;
  // do_convert_rgb is accepted, the towers see RGB always. What is missing or null is as CLIPImageProcessor
  // has it. Keys with which transformers keeps its books are passed over (preprocess.cpp lists them), any
  // other is an error. Errors name `where` and the field.
  [[nodiscard]] static Preprocess from_json(const nlohmann::json& json, const std::string& where);
  [[nodiscard]] nlohmann::json to_json() const;  // with the same effect; crop_rule is not in the file

  // (1) to (3). The same bytes as resizing all of it and cropping then.
  [[nodiscard]] Image operator()(const Image& image) const;
  // The side S of every image that comes out, all S x S; InputError if this does not give such images.
  [[nodiscard]] int64_t size() const;
  // Names (1) to (3): equal only for two that give the same pixels of every image.
  [[nodiscard]] std::string pixel_key() const;
};

}  // namespace gmail

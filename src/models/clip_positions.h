// Another resolution for an image tower: its table of positions, read as a picture, is resized.
#pragma once

#include "models/clip.h"

namespace gmail {

// table (1 + n n, W) -> (1 + side side, W) float32. The class token's row is kept; the grid is resized by
// antialiased bicubic interpolation, a = -0.5, align_corners = false, as open_clip's resize_pos_embed and
// PyTorch's interpolate(antialias=True) do. Along one axis, with scale = n / side, output i:
//   centre = (i + 0.5) scale,   weight_j = k((j - centre + 0.5) / max(1, scale)), normalised to sum 1
// InputError if the table is no class token and a square.
[[nodiscard]] Tensor resize_positions(const Tensor& table, int64_t side);

// The model for images of image_size x image_size; InputError if the patches do not tile them. Nothing
// changes if that is the model's size already.
void change_image_size(Clip& clip, int64_t image_size);
void check_image_size(const ClipConfig& config, int64_t image_size);

}  // namespace gmail

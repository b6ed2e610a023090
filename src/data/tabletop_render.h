// Draws a scene of the built-in world: three times as fine as asked for, then averaged over 3 x 3.
#pragma once

#include "data/image.h"
#include "data/tabletop_scene.h"

namespace gmail {

[[nodiscard]] Image render(const Scene& scene, Look look, int64_t size);

// Scene `index` of a world, drawn: the same bytes whenever it is asked for.
[[nodiscard]] Image render_tabletop(const TabletopOptions& options, int64_t index);

}  // namespace gmail

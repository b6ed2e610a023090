// Moved: src/io stands below src/data, and its readers look at UTF-8 too.
#pragma once

#include "io/utf8.h"

// The parts of gemm.h that live in files of their own.
#pragma once

#include "ops/gemm.h"

namespace gmail::cpu {

// Products with at most kSmallSide rows or columns, or with k = 0: no operand of any size is copied.
template <class T>
void gemm_small(const Gemm<T>& g);

}  // namespace gmail::cpu

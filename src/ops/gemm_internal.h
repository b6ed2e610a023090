// The parts of gemm.h that live in files of their own.
#pragma once

#include "ops/gemm.h"

namespace gmail::cpu {

// Products with at most kSmallSide rows or columns, or with k = 0: no operand of any size is copied.
template <class T>
void gemm_small(const Gemm<T>& g);

#if GMAIL_CBLAS
// True if a CBLAS has computed it.
template <class T>
bool gemm_cblas(const Gemm<T>& g);
#endif

}  // namespace gmail::cpu

// Matrix products on the device, row-major:
//   (1)  C (m, n) = alpha op(A) op(B) + beta C_in + bias,   op(A) (m, k), op(B) (k, n), bias (n)
// C_in is C itself unless c_in is given; with beta = 0 it is not read. A and B have one type (float32 or
// bfloat16), C_in that of C; sums are float32. cuBLASLt does it (blas.cpp); the emulator has a plain twin.
#pragma once

#include "core/tensor.h"

namespace gmail::cuda {

struct Operand {
  const Tensor* t = nullptr;
  int64_t ld = 0;
  bool trans = false;
  int64_t stride = 0;  // elements from one matrix of a batch to the next
};

struct Product {
  int64_t m = 0, n = 0, k = 0, batch = 1;
  Operand a, b;
  Tensor c = {};
  int64_t ldc = 0, stride_c = 0;
  float alpha = 1, beta = 0;
  Tensor c_in = {};  // absent: c
  Tensor bias = {};  // absent: none; of C's type
};

void product(const Product& p, Stream stream);

}  // namespace gmail::cuda

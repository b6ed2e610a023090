// Matrix products on the device, row-major:
//   (1)  S (m, n) = alpha op(A) op(B) + beta C_in + bias,   op(A) (m, k), op(B) (k, n), bias (n)
//   (2)  none: C = S   gelu: C = act(S), aux = S   dgelu: C = S act'(aux)    act: eq. (3) of ops/activation.h
//   (3)  row_sums (m) = sum_k op(A)   if asked: the gradient of a bias beside that of its weight
// C_in is C itself unless c_in is given; with beta = 0 it is not read. A and B have one type (float32 or
// bfloat16), C_in, bias, aux and row_sums that of C; sums are float32, or of products rounded to TF32 if
// cuda_options() says so. cuBLASLt does it: of its algorithms for a shape the fastest is found by a trial and
// kept, among those that give the same bits as the first, so that the bits do not depend on the clock.
#pragma once

#include "core/tensor.h"

namespace gmail::cuda {

struct Operand {
  const Tensor* t = nullptr;
  int64_t ld = 0;
  bool trans = false;
  int64_t stride = 0;  // elements from one matrix of a batch to the next
};

enum class Epilogue : uint8_t { none, gelu, dgelu };

struct Product {
  int64_t m = 0, n = 0, k = 0, batch = 1;
  Operand a, b;
  Tensor c = {};
  int64_t ldc = 0, stride_c = 0;
  float alpha = 1, beta = 0;
  Tensor c_in = {};  // absent: c
  Tensor bias = {};  // absent: none; of C's type
  Epilogue epilogue = Epilogue::none;
  Tensor aux = {};       // (m, n); absent with gelu: S is not kept
  Tensor row_sums = {};  // absent: not asked for; not together with a bias
};

void product(const Product& p, Stream stream);
// The same, or false if the library cannot do it in one call: for what has another way (eq. (2), (3)).
[[nodiscard]] bool try_product(const Product& p, Stream stream);

}  // namespace gmail::cuda

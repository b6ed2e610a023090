// The activations of ops/activation.h for one element, value and slope, in float: the twin of
// ops/activation_math.h.
#pragma once

#include "launch.h"
#include "ops/activation.h"

namespace gmail::cuda {

// The fast exponential and quotient: off by a few units of float's last place, where the precise ones would
// cost as much time as the memory.
__device__ inline float sigmoid(float x) { return __fdividef(1, 1 + __expf(-x)); }

struct QuickGelu {  // eq. (1)
  __device__ static float value(float x) { return x * sigmoid(1.702F * x); }
  __device__ static float slope(float x) {
    const float s = sigmoid(1.702F * x);
    return s + 1.702F * x * s * (1 - s);
  }
};

struct GeluErf {  // eq. (2); Phi(x) = erfc(-x / sqrt 2) / 2 keeps its digits far out
  __device__ static float Phi(float x) { return 0.5F * erfcf(-0.707106781F * x); }
  __device__ static float value(float x) { return x * Phi(x); }
  __device__ static float slope(float x) { return Phi(x) + x * 0.39894228F * expf(-0.5F * x * x); }
};

struct GeluTanh {  // eq. (3), with (1 + tanh u) / 2 = s(2u)
  __device__ static float twice_u(float x) { return 1.59576912F * x * (1 + 0.044715F * x * x); }
  __device__ static float value(float x) { return x * sigmoid(twice_u(x)); }
  __device__ static float slope(float x) {
    const float s = sigmoid(twice_u(x));
    return s + x * s * (1 - s) * 1.59576912F * (1 + 3 * 0.044715F * x * x);
  }
};

struct Silu {  // eq. (4)
  __device__ static float value(float x) { return x * sigmoid(x); }
  __device__ static float slope(float x) {
    const float s = sigmoid(x);
    return s * (1 + x * (1 - s));
  }
};

struct Relu {  // eq. (5), written so that a NaN passes
  __device__ static float value(float x) { return x < 0 ? 0 : x; }
  __device__ static float slope(float x) { return x > 0 ? 1 : x * 0; }
};

struct Tanh {  // eq. (6)
  __device__ static float value(float x) { return tanhf(x); }
  __device__ static float slope(float x) {
    const float t = tanhf(x);
    return 1 - t * t;
  }
};

// Calls f with the struct of the kind.
template <class F>
void with_activation(Activation kind, F&& f) {
  choose_activation<QuickGelu, GeluErf, GeluTanh, Silu, Relu, Tanh>(kind, f);
}

}  // namespace gmail::cuda

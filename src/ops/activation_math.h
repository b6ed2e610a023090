// The activations of ops/activation.h for one element, value and slope, so that fused kernels share them.
#pragma once

#include "ops/activation.h"
#include "ops/simd_math.h"

namespace gmail::cpu {

struct QuickGelu {  // eq. (1)
  template <class T>
  static T value(T x) {
    return x * vsigmoid(T(1.702) * x);
  }
  template <class T>
  static T slope(T x) {
    const T s = vsigmoid(T(1.702) * x);
    return s + T(1.702) * x * s * (T(1) - s);
  }
};

struct GeluErf {  // eq. (2)
  template <class T>
  static T value(T x) {
    return x * vnormal(x).Phi;
  }
  template <class T>
  static T slope(T x) {
    const Normal<T> n = vnormal(x);
    return n.Phi + x * n.phi;
  }
};

struct GeluTanh {  // eq. (3), with (1 + tanh u) / 2 = s(2u)
  template <class T>
  static T value(T x) {
    return x * vsigmoid(twice_u(x));
  }
  template <class T>
  static T slope(T x) {
    const T s = vsigmoid(twice_u(x));
    return s + x * s * (T(1) - s) * T(1.59576912160573071176) * (T(1) + T(3 * 0.044715) * x * x);
  }
  template <class T>
  static T twice_u(T x) {
    return T(1.59576912160573071176) * x * (T(1) + T(0.044715) * x * x);
  }
};

struct Silu {  // eq. (4)
  template <class T>
  static T value(T x) {
    return x * vsigmoid(x);
  }
  template <class T>
  static T slope(T x) {
    const T s = vsigmoid(x);
    return s * (T(1) + x * (T(1) - s));
  }
};

struct Relu {  // eq. (5), written so that a NaN passes
  template <class T>
  static T value(T x) {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  static T slope(T x) {
    return x > T(0) ? T(1) : x * T(0);
  }
};

struct Tanh {  // eq. (6)
  template <class T>
  static T value(T x) {
    return vtanh(x);
  }
  template <class T>
  static T slope(T x) {
    const T t = vtanh(x);
    return T(1) - t * t;
  }
};

// Calls f with the struct of the kind.
template <class F>
void with_activation(Activation kind, F&& f) {
  choose_activation<QuickGelu, GeluErf, GeluTanh, Silu, Relu, Tanh>(kind, f);
}

}  // namespace gmail::cpu

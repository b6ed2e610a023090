// A gradient that a backward function fills: absent (nobody asked for it), overwritten, or added to. The
// caller decides, the kernel obeys; there is no hidden memset.
#pragma once

#include "core/tensor.h"

namespace gmail {

struct Grad {
  Tensor t;          // absent: do not compute it
  bool add = false;  // true: t += g, false: t = g
  explicit operator bool() const { return t.defined(); }
};

namespace cpu {
// How a kernel writes element i of a gradient.
template <class T>
struct GradWriter {
  T* p = nullptr;
  bool add = false;
  explicit GradWriter(Grad g) : p(g ? g.t.data<T>() : nullptr), add(g.add) {}
  explicit operator bool() const { return p != nullptr; }
  void put(int64_t i, T v) const { p[i] = add ? p[i] + v : v; }
};

// The same with the choice made at compile time, for loops that are to be vector code.
template <class T, bool kAdd>
struct FixedWriter {
  T* p;
  void put(int64_t i, T v) const { p[i] = kAdd ? p[i] + v : v; }
};

// f(writer) with the fixed writer that does what `w` does: f's loop is compiled once for each.
template <class T, class F>
void with_writer(GradWriter<T> w, F&& f) {
  if (w.add)
    f(FixedWriter<T, true>{w.p});
  else
    f(FixedWriter<T, false>{w.p});
}
}  // namespace cpu
}  // namespace gmail

// The twin of cuda/dnn.cpp: computes what a graph says, in double, one element at a time.
#include "dnn.h"

#include <cmath>

#include "device_span.h"
#include "dnn_twin.h"

namespace gmail::cuda {

std::string why_no_cudnn() { return ""; }

namespace dnn {

struct Plan {
  Graph graph;
};

namespace {

std::function<std::string(const Graph&)>& judge() {
  static std::function<std::string(const Graph&)> f;
  return f;
}

using Values = std::vector<double>;  // of an edge, row-major
using Index = std::vector<int64_t>;

int64_t count(const Edge& e) {
  int64_t n = 1;
  for (const int64_t d : e.dims) n *= d;
  return n;
}

Index index_of(const Edge& e, int64_t flat) {
  Index at(e.dims.size());
  for (size_t d = at.size(); d-- > 0; flat /= e.dims[d]) at[d] = flat % e.dims[d];
  return at;
}

// element of e at an index; dimensions of size 1 are repeated
double element(const Edge& e, const Values& v, const Index& at) {
  int64_t flat = 0;
  for (size_t d = 0; d < e.dims.size(); ++d) flat = flat * e.dims[d] + (e.dims[d] == 1 ? 0 : at[d]);
  return v.at(static_cast<size_t>(flat));
}

int64_t place(const Edge& e, const Index& at) {
  int64_t offset = 0;
  for (size_t d = 0; d < at.size(); ++d) offset += at[d] * e.strides[d];
  return offset;
}

// A tensor as the work on a stream holds it: its memory, no hold on the tensor.
struct Memory {
  DeviceSpan<float> f;
  DeviceSpan<bf16> b;
  explicit Memory(Tensor t) {
    if (t.dtype() == DType::bfloat16)
      b = span<bf16>(t);
    else
      f = span<float>(t);
  }
};

Values read(const Edge& e, const Memory& m) {
  Values v(static_cast<size_t>(count(e)));
  for (size_t i = 0; i < v.size(); ++i) {
    const int64_t at = place(e, index_of(e, static_cast<int64_t>(i)));
    v[i] = static_cast<double>(m.f ? m.f[at] : load(m.b[at]));
  }
  return v;
}

void write(const Edge& e, const Values& v, const Memory& m) {
  for (size_t i = 0; i < v.size(); ++i) {
    const int64_t at = place(e, index_of(e, static_cast<int64_t>(i)));
    if (m.f)
      m.f[at] = static_cast<float>(v[i]);
    else
      m.b[at] = store<bf16>(static_cast<float>(v[i]));
  }
}

// x (B, I, H, W), w (O, I, kh, kw), y (B, O, H', W'): calls f(place in x, place in w, place in y) for each
// product that eq. (1) of conv2d.h sums
template <class F>
void each_product(const Node& n, const Edge& x, const Edge& w, const Edge& y, F&& f) {
  for (int64_t flat = 0; flat < count(y); ++flat) {
    const Index out = index_of(y, flat);
    for (int64_t tap = 0; tap < w.dims[2] * w.dims[3]; ++tap) {
      const int64_t p = tap / w.dims[3], q = tap % w.dims[3];
      const int64_t h = out[2] * n.stride[0] + p - n.pad[0], v = out[3] * n.stride[1] + q - n.pad[1];
      if (h < 0 || h >= x.dims[2] || v < 0 || v >= x.dims[3]) continue;
      for (int64_t i = 0; i < x.dims[1]; ++i)
        f(static_cast<size_t>(((out[0] * x.dims[1] + i) * x.dims[2] + h) * x.dims[3] + v),
          static_cast<size_t>(((out[1] * w.dims[1] + i) * w.dims[2] + p) * w.dims[3] + q),
          static_cast<size_t>(flat));
    }
  }
}

struct Interpreter {
  const Graph& g;
  std::vector<Values> values;

  void convolution(const Node& n, Values& out) {
    const Edge &a = g.edges[n.in[0]], &b = g.edges[n.in[1]], &c = g.edges[n.out];
    const Values &va = values[n.in[0]], &vb = values[n.in[1]];
    if (n.op == Op::convolution)
      each_product(n, a, b, c, [&](size_t x, size_t w, size_t y) { out[y] += va[x] * vb[w]; });
    else if (n.op == Op::input_gradient)
      each_product(n, c, b, a, [&](size_t x, size_t w, size_t y) { out[x] += va[y] * vb[w]; });
    else
      each_product(n, b, c, a, [&](size_t x, size_t w, size_t y) { out[w] += va[y] * vb[x]; });
  }

  void matmul(const Node& n, Values& out) {
    const Edge &a = g.edges[n.in[0]], &b = g.edges[n.in[1]], &c = g.edges[n.out];
    const size_t rank = c.dims.size();
    GMAIL_CHECK(a.dims[rank - 1] == b.dims[rank - 2], g.name, ": inner sizes differ");
    for (size_t i = 0; i < out.size(); ++i) {
      Index left = index_of(c, static_cast<int64_t>(i)), right = left;
      for (int64_t k = 0; k < a.dims[rank - 1]; ++k) {
        left[rank - 1] = right[rank - 2] = k;
        out[i] += element(a, values[n.in[0]], left) * element(b, values[n.in[1]], right);
      }
    }
  }

  void transpose(const Node& n, Values& out) {
    for (size_t i = 0; i < out.size(); ++i) {
      Index at = index_of(g.edges[n.out], static_cast<int64_t>(i));
      std::swap(at[at.size() - 1], at[at.size() - 2]);
      out[i] = element(g.edges[n.in[0]], values[n.in[0]], at);
    }
  }

  void reduce(const Node& n, Values& out) {
    const Edge &x = g.edges[n.in[0]], &y = g.edges[n.out];
    if (n.op == Op::maximum_over) std::fill(out.begin(), out.end(), -HUGE_VAL);
    for (int64_t i = 0; i < count(x); ++i) {
      const Index at = index_of(x, i);
      int64_t flat = 0;
      for (size_t d = 0; d < at.size(); ++d) flat = flat * y.dims[d] + (y.dims[d] == 1 ? 0 : at[d]);
      double& to = out.at(static_cast<size_t>(flat));
      const double v = values[n.in[0]][static_cast<size_t>(i)];
      to = n.op == Op::sum_over ? to + v : v <= to ? to : v;
    }
  }

  double pointwise(const Node& n, const Index& at) {
    const auto in = [&](size_t k) { return element(g.edges[n.in[k]], values[n.in[k]], at); };
    switch (n.op) {
      case Op::add:
        return in(0) + in(1);
      case Op::subtract:
        return in(0) - in(1);
      case Op::multiply:
        return in(0) * in(1);
      case Op::divide:
        return in(0) / in(1);
      case Op::exp:
        return std::exp(in(0));
      case Op::log:
        return std::log(in(0));
      case Op::index:
        return static_cast<double>(at[static_cast<size_t>(n.axis)]);
      case Op::at_least:
        return in(0) >= in(1) ? 1 : 0;
      case Op::select:
        return in(2) != 0 ? in(0) : in(1);
      default:
        throw Error(g.name + ": not a pointwise operation");
    }
  }

  void compute(const Node& n) {
    const Edge& y = g.edges[n.out];
    Values out(static_cast<size_t>(count(y)), 0.0);
    if (n.op == Op::convolution || n.op == Op::input_gradient || n.op == Op::weight_gradient)
      convolution(n, out);
    else if (n.op == Op::matmul)
      matmul(n, out);
    else if (n.op == Op::transpose)
      transpose(n, out);
    else if (n.op == Op::sum_over || n.op == Op::maximum_over)
      reduce(n, out);
    else
      for (size_t i = 0; i < out.size(); ++i) out[i] = pointwise(n, index_of(y, static_cast<int64_t>(i)));
    if (y.type == Type::bfloat16)
      for (double& v : out) v = static_cast<double>(load(store<bf16>(static_cast<float>(v))));
    values[n.out] = std::move(out);
  }
};

}  // namespace

void set_judge(std::function<std::string(const Graph&)> f) { judge() = std::move(f); }

Prepared prepare(const std::string&, const std::function<Graph()>& describe) {
  Graph g = describe();
  const std::string why = judge() ? judge()(g) : "";
  if (!why.empty()) return {nullptr, why};
  return {std::make_shared<const Plan>(Plan{std::move(g)}), ""};
}

namespace {
void interpret(const Graph& g, const std::vector<Memory>& given) {
  std::vector<bool> computed(g.edges.size(), false);
  for (const Node& n : g.nodes) computed[n.out] = true;
  Interpreter run{g, std::vector<Values>(g.edges.size())};
  std::vector<std::pair<size_t, Memory>> results;
  for (size_t i = 0, next = 0; i < g.edges.size(); ++i) {
    const Edge& e = g.edges[i];
    if (e.role == Edge::Role::constant) run.values[i] = {static_cast<double>(e.value)};
    if (e.role != Edge::Role::given) continue;
    const Memory& m = given[next++];
    if (computed[i])
      results.emplace_back(i, m);
    else
      run.values[i] = read(e, m);
  }
  for (const Node& n : g.nodes) run.compute(n);
  for (const auto& [i, m] : results) write(g.edges[i], run.values[i], m);
}
}  // namespace

void run(const Prepared& prepared, const std::vector<Tensor>& given, Stream stream) {
  const Graph& g = prepared.plan->graph;
  std::vector<Memory> memory;
  for (const Edge& e : g.edges)
    if (e.role == Edge::Role::given) memory.emplace_back(check_given(g, e, given, memory.size()));
  emulator::enqueue(stream.handle, [plan = prepared.plan, memory] { interpret(plan->graph, memory); });
}

}  // namespace dnn
}  // namespace gmail::cuda

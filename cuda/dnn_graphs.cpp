#include "dnn_graphs.h"

#include <cmath>

namespace gmail::cuda::dnn {

Type type_of(DType t) {
  if (t == DType::float32) return Type::float32;
  if (t == DType::bfloat16) return Type::bfloat16;
  GMAIL_CHECK(t == DType::int32, "[cudnn] no graph takes ", name_of(t));
  return Type::int32;
}

namespace {

std::vector<int64_t> packed(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size());
  int64_t step = 1;
  for (size_t i = dims.size(); i-- > 0; step *= dims[i]) strides[i] = step;
  return strides;
}

}  // namespace

size_t Graph::given(std::vector<int64_t> dims, std::vector<int64_t> strides, Type type) {
  edges.push_back({std::move(dims), std::move(strides), type, Edge::Role::given});
  return edges.size() - 1;
}

size_t Graph::constant(float value, size_t rank) {
  const std::vector<int64_t> one(rank, 1);
  edges.push_back({one, one, Type::float32, Edge::Role::constant, value});
  return edges.size() - 1;
}

size_t Graph::node(Op op, std::vector<size_t> in, std::vector<int64_t> dims, Type type) {
  edges.push_back({dims, packed(dims), type});
  nodes.push_back({op, std::move(in), edges.size() - 1});
  return edges.size() - 1;
}

const Tensor& check_given(const Graph& g, const Edge& e, const std::vector<Tensor>& given, size_t i) {
  GMAIL_CHECK(i < given.size(), "[cudnn] ", g.name, ": ", given.size(), " tensors are too few");
  int64_t last = 0;
  for (size_t d = 0; d < e.dims.size(); ++d) last += (e.dims[d] - 1) * e.strides[d];
  GMAIL_CHECK(given[i].device() == Device::cuda && type_of(given[i].dtype()) == e.type &&
                  last < given[i].numel() && aligned(given[i]),
              "[cudnn] ", g.name, ": tensor ", i, ", ", given[i].shape(), " of ", name_of(given[i].dtype()),
              " on ", name_of(given[i].device()), ", is not what the graph describes");
  return given[i];
}

bool aligned(const Tensor& t) { return reinterpret_cast<uintptr_t>(t.raw()) % 16 == 0; }

// --- convolutions ---

namespace {

// cuDNN names the dimensions (B, C, H, W) whatever their order in memory; ours has the channels last.
size_t channels_last(Graph& g, int64_t B, int64_t C, int64_t H, int64_t W, Type type) {
  return g.given({B, C, H, W}, {H * W * C, 1, W * C, C}, type);
}
size_t image(Graph& g, const Shape& s, Type type) { return channels_last(g, s[0], s[3], s[1], s[2], type); }
size_t weight(Graph& g, const Shape& w, Type type) { return channels_last(g, w[0], w[1], w[2], w[3], type); }

Graph convolution(const char* name, const Conv& c) {
  Graph g;
  g.name = c.key(name);
  g.tf32 = c.tf32;
  return g;
}

void convolve(Graph& g, Op op, size_t a, size_t b, size_t out, const Conv& c) {
  g.nodes.push_back({op, {a, b}, out, {c.stride, c.stride}, {c.pad, c.pad}});
}

}  // namespace

std::string Conv::key(const char* what) const {
  return concat("conv2d ", what, ' ', name_of(type), tf32 ? " tf32" : "", " x ", x, " w ", w, " stride ",
                stride, " pad ", pad);
}

Graph forward(const Conv& c, Bias bias) {
  Graph g = convolution(bias == Bias::fused ? "forward with bias" : "forward", c);
  const Type type = type_of(c.type);
  const size_t x = image(g, c.x, type), w = weight(g, c.w, type);
  if (bias == Bias::none) {
    const size_t y = image(g, c.y, type);
    convolve(g, Op::convolution, x, w, y, c);
    return g;
  }
  const size_t b = channels_last(g, 1, c.w[0], 1, 1, Type::float32), y = image(g, c.y, type);
  g.edges.push_back({g.edges[y].dims, g.edges[y].strides, Type::float32});
  const size_t sum = g.edges.size() - 1;
  convolve(g, Op::convolution, x, w, sum, c);
  g.node_into(Op::add, {sum, b}, y);
  return g;
}

Graph input_gradient(const Conv& c) {
  Graph g = convolution("input gradient", c);
  const Type type = type_of(c.type);
  const size_t dy = image(g, c.y, type), w = weight(g, c.w, type), dx = image(g, c.x, type);
  convolve(g, Op::input_gradient, dy, w, dx, c);
  return g;
}

Graph weight_gradient(const Conv& c) {
  Graph g = convolution("weight gradient", c);
  const Type type = type_of(c.type);
  const size_t dy = image(g, c.y, type), x = image(g, c.x, type), dw = weight(g, c.w, type);
  convolve(g, Op::weight_gradient, dy, x, dw, c);
  return g;
}

// --- attention ---

std::string Attention::key(const char* what) const {
  return concat("attention ", what, " B ", B, " heads ", heads, " Tq ", Tq, " Tk ", Tk, " D ", D,
                sees == Sees::all      ? ""
                : sees == Sees::causal ? " causal"
                                       : " bias");
}

namespace {

using Dims = std::vector<int64_t>;

// The heads of (B, T, heads D), seen as (B, heads, T, D), or as (B, heads, D, T).
Dims head_strides(const Attention& a, int64_t T) { return {T * a.heads * a.D, a.D, a.heads * a.D, 1}; }
size_t heads(Graph& g, const Attention& a, int64_t T) {
  return g.given({a.B, a.heads, T, a.D}, head_strides(a, T), Type::bfloat16);
}
size_t heads_transposed(Graph& g, const Attention& a, int64_t T) {
  return g.given({a.B, a.heads, a.D, T}, {T * a.heads * a.D, a.D, 1, a.heads * a.D}, Type::bfloat16);
}
size_t statistics(Graph& g, const Attention& a) {
  return g.given({a.B, a.heads, a.Tq, 1}, {a.heads * a.Tq, a.Tq, 1, 1}, Type::float32);
}
size_t bias(Graph& g, const Attention& a) {
  const int64_t row = bias_row(a.Tk);
  return g.given({a.B, 1, a.Tq, a.Tk}, {a.Tq * row, a.Tq * row, row, 1}, Type::bfloat16);
}

float scale(const Attention& a) { return 1 / std::sqrt(static_cast<float>(a.D)); }

// s_ij, or -inf where j > i
size_t causal(Graph& g, size_t s, const Dims& dims) {
  const size_t row = g.node(Op::index, {s}, dims, Type::int32);
  g.nodes.back().axis = 2;
  const size_t column = g.node(Op::index, {s}, dims, Type::int32);
  g.nodes.back().axis = 3;
  const size_t seen = g.node(Op::at_least, {row, column}, dims, Type::boolean);
  const size_t none = g.constant(-__builtin_huge_valf(), 4);
  return g.node(Op::select, {s, none, seen}, dims);
}

}  // namespace

// eq. (1); the largest s of a row is taken off before exp
Graph forward(const Attention& a) {
  Graph g;
  g.name = a.key("forward");
  const Dims scores{a.B, a.heads, a.Tq, a.Tk}, rows{a.B, a.heads, a.Tq, 1};
  const size_t q = heads(g, a, a.Tq), kt = heads_transposed(g, a, a.Tk), v = heads(g, a, a.Tk);
  const size_t b = a.sees == Sees::bias ? bias(g, a) : 0;
  const size_t o = heads(g, a, a.Tq), l = statistics(g, a);
  size_t s = g.node(Op::matmul, {q, kt}, scores);
  s = g.node(Op::multiply, {s, g.constant(scale(a), 4)}, scores);
  if (a.sees == Sees::bias) s = g.node(Op::add, {s, b}, scores);
  if (a.sees == Sees::causal) s = causal(g, s, scores);
  const size_t m = g.node(Op::maximum_over, {s}, rows);
  const size_t below = g.node(Op::subtract, {s, m}, scores);
  const size_t e = g.node(Op::exp, {below}, scores);
  const size_t z = g.node(Op::sum_over, {e}, rows);
  const size_t log_z = g.node(Op::log, {z}, rows);
  g.node_into(Op::add, {m, log_z}, l);
  const size_t p = g.node(Op::divide, {e, z}, scores, Type::bfloat16);
  g.node_into(Op::matmul, {p, v}, o);
  return g;
}

// eq. (2) and (3). The sums over keys and over queries are both matrix products of whole rows, so nothing is
// added in an order that changes.
Graph backward(const Attention& a) {
  Graph g;
  g.name = a.key("backward");
  const Dims scores{a.B, a.heads, a.Tq, a.Tk}, turned{a.B, a.heads, a.Tk, a.Tq}, rows{a.B, a.heads, a.Tq, 1};
  const size_t q = heads(g, a, a.Tq), kt = heads_transposed(g, a, a.Tk), vt = heads_transposed(g, a, a.Tk);
  const size_t b = a.sees == Sees::bias ? bias(g, a) : 0;
  const size_t o = heads(g, a, a.Tq), l = statistics(g, a), d_o = heads(g, a, a.Tq);
  const size_t dq = heads(g, a, a.Tq), dk = heads(g, a, a.Tk), dv = heads(g, a, a.Tk);
  const size_t delta = statistics(g, a);
  const size_t c = g.constant(scale(a), 4);

  const size_t product = g.node(Op::multiply, {d_o, o}, {a.B, a.heads, a.Tq, a.D});  // do_i . o_i
  const size_t sum = g.node(Op::sum_over, {product}, rows);
  g.node_into(Op::multiply, {sum, g.constant(1, 4)}, delta);

  size_t s = g.node(Op::matmul, {q, kt}, scores);  // p
  s = g.node(Op::multiply, {s, c}, scores);
  if (a.sees == Sees::bias) s = g.node(Op::add, {s, b}, scores);
  s = g.node(Op::subtract, {s, l}, scores);
  if (a.sees == Sees::causal) s = causal(g, s, scores);
  const size_t p = g.node(Op::exp, {s}, scores);
  const auto transposed = [&](size_t x) {
    const size_t t = g.node(Op::transpose, {x}, turned, Type::bfloat16);
    g.edges[t].strides = {a.heads * a.Tq * a.Tk, a.Tq * a.Tk, 1, a.Tk};
    return t;
  };
  g.node_into(Op::matmul, {transposed(p), d_o}, dv);

  size_t ds = g.node(Op::matmul, {d_o, vt}, scores);
  ds = g.node(Op::subtract, {ds, delta}, scores);
  ds = g.node(Op::multiply, {ds, p}, scores);
  ds = g.node(Op::multiply, {ds, c}, scores, Type::bfloat16);
  g.node_into(Op::matmul, {transposed(ds), q}, dk);

  const size_t k = g.node(Op::transpose, {kt}, {a.B, a.heads, a.Tk, a.D}, Type::bfloat16);
  g.edges[k].strides = head_strides(a, a.Tk);
  g.node_into(Op::matmul, {ds, k}, dq);
  return g;
}

}  // namespace gmail::cuda::dnn

// Computations by cuDNN. A graph is plain data: tensors ("edges") and what is done to them ("nodes").
// dnn.cpp, the only file that knows cuDNN, turns a graph into a plan (an engine chosen by cuDNN's heuristics,
// compiled once) and runs it; the emulator has a twin that computes what the graph says. Graphs of our ops:
// dnn_graphs.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cuda_options.h"
#include "core/tensor.h"

namespace gmail::cuda::dnn {

enum class Op : uint8_t {
  convolution,  // (x, w) -> y       x (B, I, H, W), w (O, I, kh, kw), y (B, O, H', W'), in any memory order
  input_gradient,   // (dy, w) -> dx
  weight_gradient,  // (dy, x) -> dw
  matmul,           // (a, b) -> c       a (.., m, k), b (.., k, n)
  transpose,        // the last two dimensions change places
  add,
  subtract,
  multiply,
  divide,
  exp,
  log,
  index,         // the place along Node::axis
  at_least,      // a >= b
  select,        // (a, b, condition) -> condition ? a : b
  maximum_over,  // over the dimensions in which the output has size 1
  sum_over,
};

enum class Type : uint8_t { float32, bfloat16, int32, boolean };
[[nodiscard]] Type type_of(DType t);  // throws for a type that no graph takes: float64

struct Edge {
  enum class Role : uint8_t { given, within, constant };  // memory of the caller; nobody's; `value`
  std::vector<int64_t> dims, strides;
  Type type = Type::float32;
  Role role = Role::within;
  float value = 0;
};

struct Node {
  Op op;
  std::vector<size_t> in;
  size_t out;
  std::vector<int64_t> stride = {}, pad = {};  // of a convolution
  int64_t axis = 0;                            // of an index
};

struct Graph {
  std::string name;
  std::vector<Edge> edges;
  std::vector<Node> nodes;
  bool tf32 = false;  // float32 products may round their inputs to TF32

  [[nodiscard]] size_t given(std::vector<int64_t> dims, std::vector<int64_t> strides, Type type);
  [[nodiscard]] size_t constant(float value, size_t rank);
  // The result of a new node, packed, within the graph.
  size_t node(Op op, std::vector<size_t> in, std::vector<int64_t> dims, Type type = Type::float32);
  void node_into(Op op, std::vector<size_t> in, size_t out) { nodes.push_back({op, std::move(in), out}); }
};

[[nodiscard]] bool aligned(const Tensor& t);  // to 16 bytes
// given[i], the memory of edge e; throws if it is not as the edge says.
[[nodiscard]] const Tensor& check_given(const Graph& g, const Edge& e, const std::vector<Tensor>& given,
                                        size_t i);

// A graph that is ready to run, or the reason why cuDNN does not.
struct Plan;
struct Prepared {
  std::shared_ptr<const Plan> plan;
  std::string why_not;
  explicit operator bool() const { return plan != nullptr; }
};
// The plan of a graph, made when its key is first seen (about a second each): the key holds everything that
// the description depends on.
[[nodiscard]] Prepared prepare(const std::string& key, const std::function<Graph()>& describe);

// `given`: the memory of the given edges, in their order, each aligned to 16 bytes.
void run(const Prepared& prepared, const std::vector<Tensor>& given, Stream stream);

// The engines that would be tried for a graph, best first, on a device described in cuDNN's JSON, which need
// not be here.
[[nodiscard]] std::vector<std::string> engines(const Graph& graph, const std::string& device_json);
// Compiles the graph for that device with the first of them; cuDNN's status, which without a driver is at
// best CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER: all is done but the loading of the kernel.
[[nodiscard]] std::string compile(const Graph& graph, const std::string& device_json);

}  // namespace gmail::cuda::dnn

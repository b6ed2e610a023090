#include "dnn.h"

#include <map>
#include <mutex>

#include "dnn_operations.h"
#include "launch.h"
#include "temporary.h"

namespace gmail::cuda {
namespace dnn {
namespace {

// Before 9.16 the gradient of attention was wrong for a number of keys that 128 does not divide.
constexpr size_t kOldest = 91600;

// Where a graph is to run: a handle, or, for the search alone, a device that need not be there.
struct Where {
  cudnnHandle_t handle = nullptr;
  const Descriptor* device = nullptr;
};

Descriptor operation_graph(const Graph& g, const Where& where) {
  Edges edges;
  for (size_t i = 0; i < g.edges.size(); ++i) edges.push_back(tensor(g.edges[i], i));
  std::vector<Descriptor> operations;
  for (const Node& n : g.nodes) operations.push_back(operation(n, edges));
  Descriptor d(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  d.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations);
  if (where.handle != nullptr) d.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, where.handle);
  d.finish();
  return d;
}

// --- engines ---

struct Candidate {
  Descriptor config, engine;
  int64_t index = 0;
  std::vector<cudnnBackendNumericalNote_t> notes;
};

// The same seed gives the same bits, float32 stays float32, and sums are not rounded on the way.
bool allowed(const Candidate& c, const Graph& g) {
  bool single = !g.tf32;
  for (const Edge& e : g.edges) single = single && !(e.role == Edge::Role::given && e.type == Type::bfloat16);
  for (const auto note : c.notes) {
    if (note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC ||
        note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)
      return false;
    if (single && (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE ||
                   note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS || note == CUDNN_NUMERICAL_NOTE_WINOGRAD))
      return false;
  }
  return true;
}

void describe(Candidate& c) {
  int64_t count = 0;
  cudnnBackendDescriptor_t engine = c.engine.raw();
  DNN_CHECK(cudnnBackendGetAttribute(c.config.raw(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine));
  DNN_CHECK(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count,
                                     &c.index));
  c.notes.resize(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  DNN_CHECK(cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                     CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, c.notes.data()));
  c.notes.resize(static_cast<size_t>(count));
}

// What the heuristics of one mode propose, best first.
void propose(std::vector<Candidate>& found, const Descriptor& graph, cudnnBackendHeurMode_t mode,
             const Where& where) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (where.device != nullptr) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *where.device);
  if (cudnnBackendFinalize(heuristics.raw()) != CUDNN_STATUS_SUCCESS) return;  // this mode knows nothing
  int64_t count = 0;
  DNN_CHECK(cudnnBackendGetAttribute(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
  std::vector<cudnnBackendDescriptor_t> raw;
  const size_t first = found.size();
  for (int64_t i = 0; i < count; ++i) {
    found.push_back(
        {Descriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR), Descriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR), 0, {}});
    raw.push_back(found.back().config.raw());
  }
  if (count == 0) return;
  DNN_CHECK(cudnnBackendGetAttribute(heuristics.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, raw.data()));
  found.erase(found.begin() + static_cast<int64_t>(first) + count, found.end());
  for (size_t i = first; i < found.size(); ++i) describe(found[i]);
}

std::vector<Candidate> candidates(const Descriptor& graph, const Graph& g, const Where& where) {
  std::vector<Candidate> found;
  propose(found, graph, CUDNN_HEUR_MODE_A, where);
  propose(found, graph, CUDNN_HEUR_MODE_FALLBACK, where);
  std::erase_if(found, [&](const Candidate& c) { return !allowed(c, g); });
  return found;
}

}  // namespace

namespace {

// A graph, a device that need not be here, and what the heuristics propose for the two.
struct Search {
  Descriptor device, graph;
  std::vector<Candidate> found;
  Search(const Graph& g, const std::string& json)
      : device(described(json)),
        graph(operation_graph(g, {nullptr, &device})),
        found(candidates(graph, g, {nullptr, &device})) {}
  static Descriptor described(const std::string& json) {
    Descriptor d(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    d.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, std::vector<char>(json.begin(), json.end()));
    d.finish();
    return d;
  }
};

}  // namespace

std::vector<std::string> engines(const Graph& g, const std::string& device_json) {
  std::vector<std::string> names;
  for (const Candidate& c : Search(g, device_json).found) {
    std::string name = concat("engine ", c.index, ", notes");
    for (const auto note : c.notes) name += concat(' ', static_cast<int>(note));
    names.push_back(name);
  }
  return names;
}

std::string compile(const Graph& g, const std::string& device_json) {
  const Search search(g, device_json);
  if (search.found.empty()) return "no engine";
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, search.found[0].config);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, search.device);
  return cudnnGetErrorString(cudnnBackendFinalize(plan.raw()));
}

// --- plans ---

struct Plan {
  Graph graph;
  Descriptor plan;
  int64_t workspace = 0;  // bytes
};

namespace {

constexpr int64_t kMaxWorkspace = int64_t{4} << 30U;

cudnnHandle_t handle() {
  static cudnnHandle_t h = [] {
    cudnnHandle_t made = nullptr;
    DNN_CHECK(cudnnCreate(&made));
    return made;
  }();
  return h;
}

Prepared make_plan(Graph g) {
  Prepared made;
  const Where where{handle(), nullptr};
  try {
    const Descriptor graph = operation_graph(g, where);
    made.why_not = "cuDNN has no engine for it";
    for (const Candidate& c : candidates(graph, g, where)) {
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, where.handle);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, c.config);
      if (cudnnBackendFinalize(plan.raw()) != CUDNN_STATUS_SUCCESS) {
        made.why_not = concat("cuDNN's engine ", c.index, ": ", last_message());
        continue;
      }
      int64_t count = 0, bytes = 0;
      DNN_CHECK(cudnnBackendGetAttribute(plan.raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                         CUDNN_TYPE_INT64, 1, &count, &bytes));
      if (bytes > kMaxWorkspace) {
        made.why_not = concat("cuDNN's engine ", c.index, " wants ", bytes, " bytes of workspace");
        continue;
      }
      return {std::make_shared<const Plan>(Plan{std::move(g), std::move(plan), bytes}), ""};
    }
  } catch (const Error& e) {
    made.why_not = e.what();
  }
  return made;
}

std::mutex& mutex() {  // one handle, one order of calls
  static std::mutex m;
  return m;
}

}  // namespace

Prepared prepare(const std::string& key, const std::function<Graph()>& describe) {
  static std::map<std::string, Prepared> plans;
  const std::lock_guard lock(mutex());
  const auto [at, fresh] = plans.try_emplace(key);
  if (fresh) at->second = make_plan(describe());
  return at->second;
}

void run(const Prepared& prepared, const std::vector<Tensor>& given, Stream stream) {
  const Plan& plan = *prepared.plan;
  std::vector<int64_t> ids;
  std::vector<void*> memory;
  for (size_t i = 0, next = 0; i < plan.graph.edges.size(); ++i) {
    const Edge& e = plan.graph.edges[i];
    if (e.role == Edge::Role::within) continue;
    ids.push_back(static_cast<int64_t>(i + 1));
    if (e.role == Edge::Role::constant)
      memory.push_back(
          const_cast<float*>(&e.value));  // cuDNN's pointers are all void*; it only reads this one
    else
      memory.push_back(check_given(plan.graph, e, given, next++).raw());
  }
  const Tensor workspace = temporary({(plan.workspace + 3) / 4}, DType::float32, stream);
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, memory);
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, static_cast<void*>(workspace.raw()));
  pack.finish();
  const std::lock_guard lock(mutex());
  DNN_CHECK(cudnnSetStream(handle(), raw(stream)));
  DNN_CHECK(cudnnBackendExecute(handle(), plan.plan.raw(), pack.raw()));
}

}  // namespace dnn

std::string why_no_cudnn() {
  const size_t version = cudnnGetVersion();
  if (version >= dnn::kOldest) return "";
  return concat("cuDNN ", version / 10000, '.', version / 100 % 100, " is older than ", dnn::kOldest / 10000,
                '.', dnn::kOldest / 100 % 100);
}

}  // namespace gmail::cuda

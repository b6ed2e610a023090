// CUDA graphs: the work of a stream, recorded and launched as one.
#include "core/device_memory.h"
#include "launch.h"

namespace gmail::cuda {

class CapturedGraph {
 public:
  explicit CapturedGraph(cudaGraph_t graph) { CUDA_CHECK(cudaGraphInstantiate(&exec_, graph, 0)); }
  ~CapturedGraph() { (void)cudaGraphExecDestroy(exec_); }
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;
  void launch(cudaStream_t stream) const { CUDA_CHECK(cudaGraphLaunch(exec_, stream)); }

 private:
  cudaGraphExec_t exec_ = nullptr;
};

void capture(std::shared_ptr<CapturedGraph>& graph, Stream stream, const std::function<void()>& work) {
  cudaGraph_t recorded = nullptr;
  CUDA_CHECK(cudaStreamBeginCapture(raw(stream), cudaStreamCaptureModeThreadLocal));
  try {
    work();
  } catch (...) {
    (void)cudaStreamEndCapture(raw(stream), &recorded);
    if (recorded != nullptr) (void)cudaGraphDestroy(recorded);
    (void)cudaGetLastError();
    throw;
  }
  CUDA_CHECK(cudaStreamEndCapture(raw(stream), &recorded));
  const std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, decltype(&cudaGraphDestroy)> owner(
      recorded, &cudaGraphDestroy);
  graph = std::make_shared<CapturedGraph>(recorded);
}

void replay(const CapturedGraph& graph, Stream stream) { graph.launch(raw(stream)); }

}  // namespace gmail::cuda

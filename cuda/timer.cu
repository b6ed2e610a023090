// The clock of a stream: events that note when the device came to them.
#include "core/device_timer.h"
#include "launch.h"

namespace gmail::cuda {

class Moment {
 public:
  Moment() { CUDA_CHECK(cudaEventCreate(&event)); }
  ~Moment() { (void)cudaEventDestroy(event); }
  Moment(const Moment&) = delete;
  Moment& operator=(const Moment&) = delete;
  cudaEvent_t event = nullptr;
};

void mark(std::shared_ptr<Moment>& moment, Stream stream) {
  if (!moment) moment = std::make_shared<Moment>();
  CUDA_CHECK(cudaEventRecord(moment->event, raw(stream)));
}

double milliseconds(const Moment& from, const Moment& to) {
  float ms = 0;
  CUDA_CHECK(cudaEventSynchronize(to.event));
  CUDA_CHECK(cudaEventElapsedTime(&ms, from.event, to.event));
  return ms;
}

}  // namespace gmail::cuda

// A persistent pool of threads. Work is cut into chunks whose borders depend on the sizes alone, never on
// the number of threads, so a result that is put together chunk by chunk has the same bits for every thread
// count.
#pragma once

#include <cstdint>
#include <functional>

namespace gmail {

// Threads that parallel_for may use, the caller included; 0 asks for one per core.
void set_num_threads(int n);
[[nodiscard]] int num_threads();

// Calls body(begin, end) for [0, grain), [grain, 2 grain), ... up to n, from several threads. Returns when
// all are done; the first exception is thrown again here. Inside a body it runs the chunks one after the
// other on the same thread.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& body);

}  // namespace gmail

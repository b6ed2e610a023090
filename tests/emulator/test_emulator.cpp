// Protects the emulator itself: what a kernel may do gives the right result, and each kind of mistake is
// caught that it is there to catch: a missing barrier, an index past the end, a race, a barrier that not
// all threads reach.
#include "catch.h"

#include <cmath>
#include <vector>

#include "device_span.h"
#include "emulator.h"
#include "reduce.cuh"

using namespace gmail;
using namespace gmail::cuda;
using emulator::Schedule;

namespace {

constexpr Schedule kSchedules[] = {Schedule::round_robin, Schedule::greedy_forward, Schedule::greedy_reverse};

Tensor device(const std::vector<float>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())}).to(Device::cuda);
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const emulator::Failure& failure) {
    return failure.what();
  }
  return "";
}

__global__ void sum_kernel(DeviceSpan<float> out, DeviceSpan<const float> x, int64_t n) {
  __shared__ float partial[kWarp];
  float sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
  sum = block_reduce<Sum>(sum, partial);
  if (threadIdx.x == 0) out[0] = sum;
}

// thread t writes place t and reads that of its opposite; with the barrier, the numbers turned round
template <bool kBarrier>
__global__ void turn_kernel(DeviceSpan<float> y, DeviceSpan<const float> x) {
  DYN_SHARED(float, place);
  place[threadIdx.x] = x[threadIdx.x];
  if constexpr (kBarrier) __syncthreads();
  y[threadIdx.x] = place[blockDim.x - 1 - threadIdx.x];
}

__global__ void past_the_end(DeviceSpan<float> y, int64_t n) {
  const int64_t i = threadIdx.x;
  if (i <= n) y[i] = 1;
}

template <bool kAtomic>
__global__ void count_kernel(DeviceSpan<int32_t> out) {
  __shared__ int32_t count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  if constexpr (kAtomic)
    atomicAdd(&count, 1);
  else
    count += 1;
  __syncthreads();
  if (threadIdx.x == 0) out[blockIdx.x] = count;
}

__global__ void divergent_kernel() {
  if (threadIdx.x < 40) __syncthreads();
}
__global__ void early_exit_kernel(DeviceSpan<float> y) {
  if (threadIdx.x == 7) return;
  y[0] = warp_reduce<Sum>(1);
}
__global__ void half_warp_kernel() { __syncwarp(0xffff); }

__global__ void votes_kernel(DeviceSpan<int32_t> out) {
  const int i = static_cast<int>(threadIdx.x);
  out[i] = static_cast<int32_t>(__ballot_sync(~0U, i % 2));
  out[32 + i] = __shfl_sync(~0U, 100 + i, 5);
  out[64 + i] = __shfl_down_sync(~0U, 100 + i, 1);
  out[96 + i] = __shfl_up_sync(~0U, 100 + i, 1);
}

}  // namespace

TEST_CASE("emulator: barriers, shuffles and votes do what a GPU's do, in every schedule") {
  std::vector<float> numbers(1000);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  const Tensor x = device(numbers);
  for (const Schedule schedule : kSchedules) {
    emulator::set_schedule(schedule);
    Tensor out = device({0});
    launch(Stream(), sum_kernel, 1, 256, 0, span<float>(out), span<float>(x), 1000);
    CHECK(out.at(0) == 499500);
    Tensor turned = device(std::vector<float>(96));
    launch(Stream(), turn_kernel<true>, 1, 96, 96 * sizeof(float), span<float>(turned), span<float>(x));
    for (int64_t i = 0; i < 96; ++i) REQUIRE(turned.at(i) == 95 - static_cast<double>(i));
    Tensor votes = Tensor::empty({128}, DType::int32, Device::cuda);
    launch(Stream(), votes_kernel, 1, 32, 0, span<int32_t>(votes));
    CHECK(votes.at(3) == static_cast<int32_t>(0xaaaaaaaaU));
    CHECK(votes.at(32 + 9) == 105);
    CHECK(votes.at(64 + 9) == 110);
    CHECK(votes.at(64 + 31) == 131);  // beyond the warp: its own
    CHECK(votes.at(96 + 9) == 108);
    CHECK(votes.at(96 + 0) == 100);
  }
}

TEST_CASE("emulator: a missing barrier shows as NaN in one of the schedules, or as a race") {
  const Tensor x = device(std::vector<float>(96, 1));
  bool seen = false;
  for (const Schedule schedule : kSchedules) {
    emulator::set_schedule(schedule);
    Tensor y = device(std::vector<float>(96));
    const std::string failure = message([&] {
      launch(Stream(), turn_kernel<false>, 1, 96, 96 * sizeof(float), span<float>(y), span<float>(x));
    });
    seen = seen || failure.find("race") != std::string::npos || !y.all_finite();
  }
  CHECK(seen);
}

TEST_CASE("emulator: an index past the end is named with its thread") {
  Tensor y = device(std::vector<float>(40));
  const std::string failure = message([&] { launch(Stream(), past_the_end, 1, 64, 0, span<float>(y), 40); });
  CHECK(failure.find("block (0,0,0), thread (40,0,0): index 40 of a tensor of 40") != std::string::npos);
  launch(Stream(), past_the_end, 1, 64, 0, span<float>(y), 39);  // and goes on working
  CHECK(y.at(39) == 1);
}

#if GMAIL_RACES
TEST_CASE("emulator: a race on a shared sum is found, an atomic sum is none") {
  for (const Schedule schedule : kSchedules) {
    emulator::set_schedule(schedule);
    Tensor out = Tensor::empty({2}, DType::int32, Device::cuda);
    const std::string failure =
        message([&] { launch(Stream(), count_kernel<false>, 1, 64, 0, span<int32_t>(out)); });
    CHECK(failure.find("race: it ") != std::string::npos);
    launch(Stream(), count_kernel<true>, 2, 64, 0, span<int32_t>(out));
    CHECK(out.at(0) == 64);
    CHECK(out.at(1) == 64);
  }
}
#endif

TEST_CASE("emulator: threads that do not meet are reported") {
  Tensor y = device({0});
  CHECK(message([] {
          launch(Stream(), divergent_kernel, 1, 64, 0);
        }).find("deadlock: 40 threads wait for the block") != std::string::npos);
  CHECK(message([&] {
          launch(Stream(), early_exit_kernel, 1, 32, 0, span<float>(y));
        }).find("31 for their warp, 1 of 32 have ended") != std::string::npos);
  CHECK(message([] { launch(Stream(), half_warp_kernel, 1, 32, 0); }).find("whole warps only") !=
        std::string::npos);
}

TEST_CASE("emulator: a launch that no GPU takes is refused") {
  CHECK(message([] { launch(Stream(), divergent_kernel, 1, 33, 0); }).find("33 threads") !=
        std::string::npos);
  CHECK(message([] { launch(Stream(), divergent_kernel, 1, 2048, 0); }).find("2048 threads") !=
        std::string::npos);
  CHECK(message([] { launch(Stream(), divergent_kernel, dim3(1, 70000), 32, 0); }).find("1 x 70000 x 1") !=
        std::string::npos);
  CHECK(message([] { launch(Stream(), divergent_kernel, 1, 32, 300000); }).find("300000 bytes") !=
        std::string::npos);
}

TEST_CASE("device memory: what no device has is refused with what holds the rest") {
  const Tensor held = Tensor::empty({1000, 1000}, DType::float32, Device::cuda);
  CHECK_THROWS_WITH(
      Tensor::empty({int64_t{1} << 33}, DType::float32, Device::cuda),
      Contains("out of memory: asked for 32768.0 MiB") && Contains("free") && Contains("1 of 3.8 MiB"));
}

TEST_CASE("device memory: the CPU cannot read a tensor there, nor a kernel one on the CPU") {
  const Tensor there = device({1, 2, 3});
  CHECK_THROWS_WITH(there.data<float>(), "[tensor] the CPU read a tensor that lies on cuda");
  CHECK_THROWS_WITH(span<float>(there.to(Device::cpu)), "[cuda] a tensor of shape (3) lies on the CPU");
  CHECK(there.at(2) == 3);
  CHECK(there.to(DType::bfloat16).to(Device::cpu).at(1) == 2);
  CHECK(there.clone().at(0) == 1);
}

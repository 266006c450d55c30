// Faults that were asked for, each in a process of its own.
#include "session.h"

namespace {

const char* const addOne = R"(extern "C" __global__ void kernel_main(float* p) { p[threadIdx.x] += 1.0f; })";

/** Three launches; the results of the calls, and what waiting ends with. */
void launches(const std::vector<int>& calls, int end) {
  Session session;
  const Handle kernel = session.load(addOne);
  const Address p = session.upload(std::vector<float>(32, 1.0f));
  CU("cuStreamSynchronize", session.stream);
  for (const int expected : calls) {
    CHECK(session.tryLaunch(kernel, {}, {32}, Parameters(p)) == expected);
    call("cuStreamSynchronize", session.stream);
  }
  CHECK(session.finish() == end);
}

}  // namespace

SCENARIO(noDevice, "fault no-device") { EXPECT(100, "cuInit", 0u); }
SCENARIO(initFault, "fault init") { EXPECT(803, "cuInit", 0u); }
SCENARIO(oldDriver, "fault driver-version") {
  int version = 0;
  CU("cuDriverGetVersion", &version);
  CHECK(version == 11080);
}
SCENARIO(contextFault, "fault context") {
  Handle context = nullptr;
  CU("cuInit", 0u);
  EXPECT(46, "cuDevicePrimaryCtxRetain", &context, 0);
}
SCENARIO(noPools, "fault no-pools") {
  int value = 1;
  CU("cuInit", 0u);
  CU("cuDeviceGetAttribute", &value, 115, 0);
  CHECK(value == 0);
}
SCENARIO(allocateFault, "fault allocate") {
  Session session;
  Address address = 0;
  CU("cuMemAlloc_v2", &address, std::size_t{64});
  EXPECT(2, "cuMemAllocAsync", &address, std::size_t{64}, session.stream);
  CU("cuMemAlloc_v2", &address, std::size_t{64});
}
SCENARIO(pinnedFault, "fault pinned") {
  Session session;
  void* start = nullptr;
  EXPECT(2, "cuMemHostAlloc", &start, std::size_t{64}, 0u);
  CU("cuMemHostAlloc", &start, std::size_t{64}, 0u);
}
SCENARIO(createFault, "fault create") {
  Session session;
  Handle event = nullptr;
  EXPECT(2, "cuEventCreate", &event, 0u);
  CU("cuEventCreate", &event, 0u);
}
SCENARIO(launchFault, "fault launch") { launches({0, 701, 0}, 0); }
SCENARIO(launchFailure, "fault launch-failure") { launches({0, 0, 719}, 719); }
SCENARIO(illegalAddress, "fault illegal-address") {
  launches({0, 0, 700}, 700);
  // A context that is made anew works again.
  Session session;
  const Address p = session.upload(std::vector<float>(32, 1.0f));
  CHECK(session.download<float>(p, 32)[0] == 1.0f);
}
SCENARIO(moduleFault, "fault module") {
  Session session;
  const Compiled compiled = compileText(addOne);
  Handle module = nullptr;
  EXPECT(200, "cuModuleLoadData", &module, static_cast<const void*>(compiled.image.data()));
  CU("cuModuleLoadData", &module, static_cast<const void*>(compiled.image.data()));
}
SCENARIO(graphFault, "fault graph") {
  Session session;
  Handle graph = nullptr, executable = nullptr;
  CU("cuStreamBeginCapture_v2", session.stream, 1);
  CU("cuStreamEndCapture", session.stream, &graph);
  EXPECT(2, "cuGraphInstantiateWithFlags", &executable, graph, 0ull);
  CU("cuGraphInstantiateWithFlags", &executable, graph, 0ull);
}
SCENARIO(compileFault, "fault compile") {
  CHECK(compileText(addOne).result == 0);
  const Compiled compiled = compileText(addOne);
  CHECK(compiled.result == 6 && !compiled.log.empty());
  CHECK(compileText(addOne).result == 0);
}

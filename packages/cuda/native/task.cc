#include "task.h"

#include <new>

namespace tutti {

void Task::runCatching() noexcept {
  try {
    run();
  } catch (const NativeError& thrown) {
    error = thrown;
  } catch (const std::bad_alloc&) {
    error = NativeError("OUT_OF_HOST_MEMORY", "run", 0, "no host memory is left");
  } catch (const std::exception& thrown) {
    error = NativeError("INTERNAL", "run", 0, thrown.what());
  }
}

}  // namespace tutti

// Devices and contexts.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "context.h"
#include "memory.h"

using namespace tutti_emulator;

namespace {

enum Attribute : int {
  maxThreadsPerBlock = 1,
  maxBlockX = 2,
  maxBlockY = 3,
  maxBlockZ = 4,
  maxGridX = 5,
  maxGridY = 6,
  maxGridZ = 7,
  sharedBytesPerBlock = 8,
  constantBytes = 9,
  warpLanes = 10,
  registersPerBlock = 12,
  clockKilohertz = 13,
  multiprocessors = 16,
  integrated = 18,
  canMapHostMemory = 19,
  computeMode = 20,
  concurrentKernels = 31,
  memoryClockKilohertz = 36,
  busWidth = 37,
  l2Bytes = 38,
  threadsPerMultiprocessor = 39,
  asyncEngines = 40,
  unifiedAddressing = 41,
  capabilityMajor = 75,
  capabilityMinor = 76,
  sharedBytesPerMultiprocessor = 81,
  registersPerMultiprocessor = 82,
  managedMemory = 83,
  maxSharedBytesPerBlock = 97,
  blocksPerMultiprocessor = 106,
  reservedSharedBytesPerBlock = 111,
  memoryPools = 115,
};

/** Kilobytes of shared memory that a block may ask for, as in the programming guide's table of compute capabilities. */
int sharedKilobytes(int capability) {
  if (capability < 80) return 64;
  if (capability == 80 || capability == 87) return 163;
  if (capability < 90 || capability >= 120) return 99;
  return 227;
}

int attributeValue(int attribute) {
  const int capability = computeCapability();
  switch (attribute) {
    case maxThreadsPerBlock:
    case maxBlockX:
    case maxBlockY: return 1024;
    case maxBlockZ: return 64;
    case maxGridX: return 2147483647;
    case maxGridY:
    case maxGridZ: return 65535;
    case sharedBytesPerBlock: return 48 * 1024;
    case constantBytes: return 65536;
    case warpLanes: return 32;
    case registersPerBlock:
    case registersPerMultiprocessor: return 65536;
    case clockKilohertz: return 1000000;
    case multiprocessors: return static_cast<int>(numberSetting("MULTIPROCESSORS", 8));
    case integrated:
    case computeMode:
    case managedMemory: return 0;
    case canMapHostMemory:
    case concurrentKernels:
    case unifiedAddressing: return 1;
    case memoryClockKilohertz: return 1000000;
    case busWidth: return 256;
    case l2Bytes: return 4 << 20;
    case threadsPerMultiprocessor: return capability == 75 ? 1024 : capability < 90 && capability != 80 ? 1536 : 2048;
    case asyncEngines: return 2;
    case capabilityMajor: return capability / 10;
    case capabilityMinor: return capability % 10;
    case maxSharedBytesPerBlock: return sharedKilobytes(capability) * 1024;
    case sharedBytesPerMultiprocessor: return (sharedKilobytes(capability) + (capability < 80 ? 0 : 1)) * 1024;
    case blocksPerMultiprocessor: return capability == 75 || capability == 86 ? 16 : 32;
    case reservedSharedBytesPerBlock: return capability < 80 ? 0 : 1024;
    case memoryPools: return faults().value("no-pools") ? 0 : 1;
    default: throw Failure{invalidValue};
  }
}

}  // namespace

std::size_t tutti_emulator::maxSharedBytes() {
  return static_cast<std::size_t>(attributeValue(maxSharedBytesPerBlock));
}

/** Says that this library is no GPU's driver. */
extern "C" __attribute__((visibility("default"))) const char* tuttiEmulation() { return "tutti CUDA emulator"; }

TUTTI_API cuInit(unsigned flags) {
  return guarded([&] {
    if (flags != 0) throw Failure{invalidValue};
    initialize();
  });
}

TUTTI_API cuDriverGetVersion(int* version) {
  return guarded([&] {
    faults().refresh();
    *version = static_cast<int>(faults().value("driver-version").value_or(13000));
  });
}

TUTTI_API cuGetErrorName(int result, const char** name) {
  *name = resultName(result);
  return *name == nullptr ? invalidValue : success;
}

TUTTI_API cuGetErrorString(int result, const char** text) {
  *text = resultText(result);
  return *text == nullptr ? invalidValue : success;
}

TUTTI_API cuDeviceGetCount(int* count) {
  return guarded([&] { *count = (deviceAt(0), deviceCount()); });
}

TUTTI_API cuDeviceGet(int* device, int ordinal) {
  return guarded([&] { *device = deviceAt(ordinal).index; });
}

TUTTI_API cuDeviceGetName(char* name, int length, int device) {
  return guarded([&] {
    deviceAt(device);
    std::snprintf(name, static_cast<std::size_t>(length), "Emulated sm_%d", computeCapability());
  });
}

TUTTI_API cuDeviceGetAttribute(int* value, int attribute, int device) {
  return guarded([&] {
    deviceAt(device);
    *value = attributeValue(attribute);
  });
}

TUTTI_API cuDeviceTotalMem_v2(std::size_t* bytes, int device) {
  return guarded([&] {
    deviceAt(device);
    *bytes = memoryBytes();
  });
}

TUTTI_API cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
  return guarded([&] {
    deviceAt(device);
    std::memcpy(uuid, "tutti-emulator-0", 16);
    uuid[15] = static_cast<unsigned char>('0' + device);
  });
}

TUTTI_API cuDevicePrimaryCtxRetain(Context** context, int index) {
  return guarded([&] {
    Device& device = deviceAt(index);
    const std::lock_guard lock(device.mutex);
    faults().refresh();
    if (const auto code = faults().value("context")) throw Failure{static_cast<Result>(*code)};
    if (device.retained == 0) device.context = std::make_unique<Context>(index);
    device.retained++;
    *context = device.context.get();
  });
}

TUTTI_API cuDevicePrimaryCtxRelease_v2(int index) {
  return guarded([&] {
    Device& device = deviceAt(index);
    const std::lock_guard lock(device.mutex);
    if (device.retained == 0) throw Failure{invalidContext};
    if (--device.retained == 0) device.context.reset();
  });
}

TUTTI_API cuCtxSetCurrent(Context* context) {
  return guarded([&] { setCurrent(context); });
}

TUTTI_API cuCtxGetCurrent(Context** context) {
  return guarded([&] { *context = currentOrNone(); });
}

TUTTI_API cuCtxSynchronize() {
  return guarded([&] {
    forbidInCapture();
    current().synchronize();
  });
}

TUTTI_API cuDeviceCanAccessPeer(int* answer, int device, int peer) {
  return guarded([&] { *answer = deviceAt(device).index != deviceAt(peer).index ? 1 : 0; });
}

TUTTI_API cuCtxEnablePeerAccess(Context* peer, unsigned) {
  return guarded([&] {
    if (&current() == peer) throw Failure{invalidContext};
  });
}

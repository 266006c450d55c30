// The driver library as a table of functions, found by the exact names that it exports: a header of CUDA would map `cuMemAlloc` to
// `cuMemAlloc_v2`, and to other names in other versions.
#pragma once

#include <memory>
#include <string>

#include "cuda_types.h"
#include "library.h"

namespace tutti {

// name, parameters
#define TUTTI_DRIVER_FUNCTIONS(F)                                                                                     \
  F(cuDeviceGetCount, (int* count))                                                                                   \
  F(cuDeviceGet, (CUdevice * device, int ordinal))                                                                    \
  F(cuDeviceGetName, (char* name, int length, CUdevice device))                                                       \
  F(cuDeviceGetAttribute, (int* value, CUdevice_attribute attribute, CUdevice device))                                \
  F(cuDeviceTotalMem_v2, (std::size_t * bytes, CUdevice device))                                                      \
  F(cuDeviceGetUuid_v2, (CUuuid * uuid, CUdevice device))                                                             \
  F(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                                                 \
  F(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                                                  \
  F(cuCtxSetCurrent, (CUcontext context))                                                                             \
  F(cuStreamCreate, (CUstream * stream, unsigned flags))                                                              \
  F(cuStreamDestroy_v2, (CUstream stream))                                                                            \
  F(cuStreamSynchronize, (CUstream stream))                                                                           \
  F(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned flags))                                              \
  F(cuEventCreate, (CUevent * event, unsigned flags))                                                                 \
  F(cuEventDestroy_v2, (CUevent event))                                                                               \
  F(cuEventRecord, (CUevent event, CUstream stream))                                                                  \
  F(cuEventQuery, (CUevent event))                                                                                    \
  F(cuEventSynchronize, (CUevent event))                                                                              \
  F(cuEventElapsedTime, (float* milliseconds, CUevent start, CUevent end))                                            \
  F(cuMemAlloc_v2, (CUdeviceptr * address, std::size_t bytes))                                                        \
  F(cuMemFree_v2, (CUdeviceptr address))                                                                              \
  F(cuMemAllocFromPoolAsync, (CUdeviceptr * address, std::size_t bytes, CUmemoryPool pool, CUstream stream))          \
  F(cuMemFreeAsync, (CUdeviceptr address, CUstream stream))                                                           \
  F(cuMemPoolCreate, (CUmemoryPool * pool, const CUmemPoolProps* properties))                                         \
  F(cuMemPoolDestroy, (CUmemoryPool pool))                                                                            \
  F(cuMemPoolSetAttribute, (CUmemoryPool pool, int attribute, void* value))                                           \
  F(cuMemPoolTrimTo, (CUmemoryPool pool, std::size_t bytesToKeep))                                                    \
  F(cuMemGetInfo_v2, (std::size_t * free, std::size_t* total))                                                        \
  F(cuMemHostAlloc, (void** address, std::size_t bytes, unsigned flags))                                              \
  F(cuMemFreeHost, (void* address))                                                                                   \
  F(cuMemcpyHtoDAsync_v2, (CUdeviceptr target, const void* source, std::size_t bytes, CUstream stream))               \
  F(cuMemcpyDtoHAsync_v2, (void* target, CUdeviceptr source, std::size_t bytes, CUstream stream))                     \
  F(cuMemcpyDtoDAsync_v2, (CUdeviceptr target, CUdeviceptr source, std::size_t bytes, CUstream stream))               \
  F(cuMemcpyPeerAsync,                                                                                                \
    (CUdeviceptr target, CUcontext targetContext, CUdeviceptr source, CUcontext sourceContext, std::size_t bytes,     \
     CUstream stream))                                                                                                \
  F(cuModuleLoadData, (CUmodule * module, const void* image))                                                         \
  F(cuModuleUnload, (CUmodule module))                                                                                \
  F(cuModuleGetFunction, (CUfunction * function, CUmodule module, const char* name))                                  \
  F(cuFuncSetAttribute, (CUfunction function, CUfunction_attribute attribute, int value))                             \
  F(cuFuncGetAttribute, (int* value, CUfunction_attribute attribute, CUfunction function))                            \
  F(cuLaunchKernel, (CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX,            \
                     unsigned blockY, unsigned blockZ, unsigned sharedBytes, CUstream stream, void** parameters,      \
                     void** extra))                                                                                   \
  F(cuStreamBeginCapture_v2, (CUstream stream, int mode))                                                             \
  F(cuStreamEndCapture, (CUstream stream, CUgraph * graph))                                                           \
  F(cuGraphInstantiateWithFlags, (CUgraphExec * executable, CUgraph graph, unsigned long long flags))                 \
  F(cuGraphLaunch, (CUgraphExec executable, CUstream stream))                                                         \
  F(cuGraphExecDestroy, (CUgraphExec executable))                                                                     \
  F(cuGraphDestroy, (CUgraph graph))

class DriverApi {
 public:
  // Loads and initialises the library at a path, or gives the one that was loaded before.
  static std::shared_ptr<const DriverApi> open(const std::string& path);

#define TUTTI_MEMBER(name, parameters) CUresult(TUTTI_CUDA_CALL* name) parameters = nullptr;
  TUTTI_DRIVER_FUNCTIONS(TUTTI_MEMBER)
#undef TUTTI_MEMBER

  const DriverApi& api() const { return *this; }
  // 13000 for CUDA 13.0.
  int version() const { return version_; }
  bool emulated() const { return emulated_; }
  // An old driver lacks functions: its version can still be asked for, but no device of it. Throws SYMBOL_NOT_FOUND.
  void requireWhole() const;
  // Throws what a status other than success means.
  void check(CUresult status, const char* call) const;
  NativeError error(CUresult status, const char* call) const;

 private:
  explicit DriverApi(const std::string& path);
  void resolve();

  Library library_;
  CUresult(TUTTI_CUDA_CALL* cuGetErrorName)(CUresult status, const char** name) = nullptr;
  CUresult(TUTTI_CUDA_CALL* cuGetErrorString)(CUresult status, const char** text) = nullptr;
  const char* missing_ = nullptr;
  int version_ = 0;
  bool emulated_ = false;
};

}  // namespace tutti

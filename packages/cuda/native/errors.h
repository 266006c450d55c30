// One kind of error for everything native. The binding turns it into a JavaScript Error with the same fields.
#pragma once

#include <stdexcept>
#include <string>

#include "cuda_types.h"

namespace tutti {

struct NativeError : std::runtime_error {
  NativeError(std::string code, std::string call, int status, const std::string& message)
      : std::runtime_error(message), code(std::move(code)), call(std::move(call)), status(status) {}

  // CUDA_ERROR_OUT_OF_MEMORY, LIBRARY_NOT_FOUND, INVALID_ARGUMENT...
  std::string code;
  // The function that answered with it.
  std::string call;
  int status;
  // Of a compiler.
  std::string log;
};

// Something that the caller passed is not what it should be.
NativeError invalidArgument(const char* call, const std::string& message);

// The device, the driver or the interface was closed.
NativeError disposed(const char* call);

// Whether every later call in the context would fail with the same: the driver does not recover.
bool isSticky(CUresult status);

}  // namespace tutti

// Calls a function of an interface by name, and throws what it answers unless that is success.
#define TUTTI_CALL(owner, function, ...) (owner).check((owner).api().function(__VA_ARGS__), #function)

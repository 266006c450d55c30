// Streams of work on a device.
#pragma once

#include "context.h"

namespace tutti {

// A stream, destroyed with its owner. In a current context.
class Stream {
 public:
  explicit Stream(const Context& context) : context_(context) {
    TUTTI_CALL(context, cuStreamCreate, &handle_, CU_STREAM_NON_BLOCKING);
  }
  ~Stream() {
    if (!context_.failed()) context_.api().cuStreamDestroy_v2(handle_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  CUstream handle() const { return handle_; }

 private:
  const Context& context_;
  CUstream handle_ = nullptr;
};

}  // namespace tutti

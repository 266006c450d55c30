#include "context.h"

namespace tutti {

Context::Context(std::shared_ptr<const DriverApi> driver, int index) : driver_(std::move(driver)) {
  driver_->check(driver_->cuDeviceGet(&device_, index), "cuDeviceGet");
  driver_->check(driver_->cuDevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
}

Context::~Context() {
  driver_->cuCtxSetCurrent(nullptr);
  driver_->cuDevicePrimaryCtxRelease_v2(device_);
}

int Context::attribute(CUdevice_attribute attribute) const {
  int value = 0;
  TUTTI_CALL(*this, cuDeviceGetAttribute, &value, attribute, device_);
  return value;
}

void Context::makeCurrent() const { TUTTI_CALL(*this, cuCtxSetCurrent, context_); }

void Context::check(CUresult status, const char* call) const {
  if (status == CUDA_SUCCESS) return;
  NativeError error = driver_->error(status, call);
  if (isSticky(status)) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_) failure_ = error;
    failed_ = true;
  }
  throw error;
}

std::optional<NativeError> Context::failure() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

void Context::requireUsable() const {
  if (failed_) throw *failure();
}

}  // namespace tutti

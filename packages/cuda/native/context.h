// The primary context of a device, and what it failed with.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "driver.h"

namespace tutti {

class Context {
 public:
  // Retains the primary context, which other users of the device in this process share.
  Context(std::shared_ptr<const DriverApi> driver, int index);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const DriverApi& api() const { return *driver_; }
  CUdevice device() const { return device_; }
  CUcontext handle() const { return context_; }
  int attribute(CUdevice_attribute attribute) const;

  // Every thread has a current context of its own, and anybody in the process may have changed it.
  void makeCurrent() const;
  // Throws what the status means, and remembers it where the driver does not recover.
  void check(CUresult status, const char* call) const;
  // What the driver does not recover from, once that has happened.
  std::optional<NativeError> failure() const;
  // Throws it.
  void requireUsable() const;
  // The driver refuses everything from now on: there is no use in freeing either.
  bool failed() const { return failed_; }

 private:
  std::shared_ptr<const DriverApi> driver_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;

  mutable std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  mutable std::optional<NativeError> failure_;
};

}  // namespace tutti

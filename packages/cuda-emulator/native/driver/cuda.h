// The numbers of the CUDA driver's interface that the emulator knows. They are the emulator's own, so that a wrong one
// in the addon shows.
#pragma once

#include <cstdint>
#include <string>

namespace tutti_emulator {

enum Result : int {
  success = 0,
  invalidValue = 1,
  outOfMemory = 2,
  notInitialized = 3,
  noDevice = 100,
  invalidDevice = 101,
  invalidImage = 200,
  invalidContext = 201,
  noBinaryForGpu = 209,
  notPermitted = 800,
  invalidHandle = 400,
  notFound = 500,
  notReady = 600,
  illegalAddress = 700,
  launchOutOfResources = 701,
  launchTimeout = 702,
  misalignedAddress = 716,
  launchFailed = 719,
  captureUnsupported = 900,
  captureInvalidated = 901,
  captureUnmatched = 903,
  captureIsolation = 905,
  captureWrongThread = 908,
};

const char* resultName(int result);
const char* resultText(int result);

/** What a call or an operation ends with. */
struct Failure {
  Result code;
};

/** Prints what happened, for who reads the output of a test. */
void report(const std::string& message);

using Address = std::uint64_t;

}  // namespace tutti_emulator

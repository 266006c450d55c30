#include "commands.h"

#include <algorithm>
#include <string>

namespace tutti {
namespace {

enum Code : std::uint32_t { launchCode = 0, copyCode = 1, markCode = 2, productCode = 3 };

// Places of the words of a command.
enum Header : std::uint32_t { codeWord = 0, sizeWord = 1, headerWords = 2 };
enum Launch : std::uint32_t {
  functionWord = 2,
  gridWord = 3,
  blockWord = 6,
  sharedWord = 9,
  parameterBytesWord = 10,
  launchWords = 11,
};
enum Copy : std::uint32_t { targetWord = 2, sourceWord = 4, bytesWord = 6, copyWords = 8 };
enum ProductWords : std::uint32_t {
  productWord = 2,
  lhsWord = 3,
  rhsWord = 5,
  resultWord = 7,
  biasWord = 9,
  workspaceWord = 11,
  productWords = 13,
};

constexpr std::uint32_t maxGridX = 0x7fffffff;
constexpr std::uint32_t maxGridYZ = 65535;
constexpr std::uint32_t maxBlockZ = 64;
// Of all parameters of a kernel, on every GPU and driver that is taken here.
constexpr std::uint32_t maxParameterBytes = 4096;

std::uint64_t wide(const std::uint32_t* words) { return words[0] | static_cast<std::uint64_t>(words[1]) << 32; }

ProductAddresses addressesOf(const std::uint32_t* command) {
  return {wide(command + lhsWord), wide(command + rhsWord), wide(command + resultWord), wide(command + biasWord),
          wide(command + workspaceWord)};
}

[[noreturn]] void malformed(const std::string& message) { throw invalidArgument("commands", message); }

}  // namespace

CommandReader::CommandReader(const Context& context, const DeviceMemory& memory, const ModuleTable& modules,
                             const ProductTable& products)
    : context_(context),
      memory_(memory),
      modules_(modules),
      products_(products),
      maxThreadsPerBlock_(context.attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)) {}

void CommandReader::check(const std::uint32_t* words, std::size_t length, bool marksAllowed) const {
  for (std::size_t at = 0; at < length;) {
    const std::uint32_t* command = words + at;
    const std::size_t rest = length - at;
    const std::uint32_t size = rest < headerWords ? 0 : command[sizeWord];
    if (size < headerWords || size > rest) malformed("the command at word " + std::to_string(at) + " is cut off");
    switch (command[codeWord]) {
      case launchCode:
        checkLaunch(command, size);
        break;
      case copyCode:
        checkCopy(command, size);
        break;
      case productCode:
        checkProduct(command, size);
        break;
      case markCode:
        if (size != headerWords) malformed("a mark has " + std::to_string(size) + " words");
        if (!marksAllowed) malformed("marks are for timing");
        break;
      default:
        malformed("there is no command " + std::to_string(command[codeWord]));
    }
    at += size;
  }
}

void CommandReader::checkLaunch(const std::uint32_t* command, std::uint32_t words) const {
  if (words < launchWords) malformed("a launch has " + std::to_string(words) + " words");
  const Function* function = modules_.find(command[functionWord]);
  if (!function) malformed("there is no function " + std::to_string(command[functionWord]));
  const std::uint32_t* grid = command + gridWord;
  const std::uint32_t* block = command + blockWord;
  for (int axis = 0; axis < 3; axis++) {
    const std::uint32_t most = axis == 0 ? maxGridX : maxGridYZ;
    if (grid[axis] == 0 || grid[axis] > most) {
      malformed("a grid has " + std::to_string(grid[axis]) + " blocks along an axis");
    }
    if (block[axis] == 0) malformed("a block has no threads");
  }
  // One by one, so that the product cannot wrap around.
  if (block[0] > maxThreadsPerBlock_ || block[1] > maxThreadsPerBlock_ || block[2] > maxBlockZ ||
      static_cast<std::uint64_t>(block[0]) * block[1] * block[2] > maxThreadsPerBlock_) {
    malformed("a block has more than " + std::to_string(maxThreadsPerBlock_) + " threads");
  }
  if (command[sharedWord] > function->dynamicSharedBytes) {
    malformed("a launch asks for " + std::to_string(command[sharedWord]) +
              " bytes of dynamic shared memory, its function has " + std::to_string(function->dynamicSharedBytes));
  }
  const std::uint32_t bytes = command[parameterBytesWord];
  if (bytes > maxParameterBytes || bytes % 4 != 0 || launchWords + bytes / 4 != words) {
    malformed("a launch of " + std::to_string(words) + " words has " + std::to_string(bytes) + " bytes of parameters");
  }
}

void CommandReader::checkCopy(const std::uint32_t* command, std::uint32_t words) const {
  if (words != copyWords) malformed("a copy has " + std::to_string(words) + " words");
  const std::uint64_t bytes = wide(command + bytesWord);
  if (bytes == 0) return;
  memory_.requireRange(wide(command + targetWord), bytes, "copy");
  memory_.requireRange(wide(command + sourceWord), bytes, "copy");
}

void CommandReader::checkProduct(const std::uint32_t* command, std::uint32_t words) const {
  if (words != productWords) malformed("a product has " + std::to_string(words) + " words");
  const Product* product = products_.find(command[productWord]);
  if (!product) malformed("there is no product " + std::to_string(command[productWord]));
  product->check(memory_, addressesOf(command));
}

void CommandReader::run(const std::uint32_t* words, std::size_t length, CUstream stream, Marks* marks) const {
  for (std::size_t at = 0; at < length; at += words[at + sizeWord]) {
    const std::uint32_t* command = words + at;
    switch (command[codeWord]) {
      case launchCode:
        launch(command, stream);
        break;
      case copyCode:
        copy(command, stream);
        break;
      case productCode:
        products_.find(command[productWord])->run(addressesOf(command), stream);
        break;
      default:
        marks->events.push_back(marks->pool.record(stream));
    }
  }
}

void CommandReader::launch(const std::uint32_t* command, CUstream stream) const {
  const std::uint32_t* grid = command + gridWord;
  const std::uint32_t* block = command + blockWord;
  std::size_t bytes = command[parameterBytesWord];
  // The driver reads the parameters where they are: they are laid out as the kernel's own.
  void* parameters = const_cast<std::uint32_t*>(command + launchWords);
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, parameters, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  TUTTI_CALL(context_, cuLaunchKernel, modules_.find(command[functionWord])->handle, grid[0], grid[1], grid[2], block[0],
             block[1], block[2], command[sharedWord], stream, nullptr, bytes ? extra : nullptr);
}

void CommandReader::copy(const std::uint32_t* command, CUstream stream) const {
  const std::uint64_t bytes = wide(command + bytesWord);
  if (bytes == 0) return;
  TUTTI_CALL(context_, cuMemcpyDtoDAsync_v2, wide(command + targetWord), wide(command + sourceWord), bytes, stream);
}

std::vector<std::shared_ptr<Module>> CommandReader::modulesOf(const std::uint32_t* words, std::size_t length) const {
  std::vector<std::shared_ptr<Module>> found;
  for (std::size_t at = 0; at < length; at += words[at + sizeWord]) {
    if (words[at] != launchCode) continue;
    const std::shared_ptr<Module>& module = modules_.find(words[at + functionWord])->module;
    if (std::find(found.begin(), found.end(), module) == found.end()) found.push_back(module);
  }
  return found;
}

}  // namespace tutti

#include "module.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace tutti_emulator {
namespace {

constexpr Elf64_Half cudaMachine = 190;

const Elf64_Ehdr* header(const void* image) {
  const auto* found = static_cast<const Elf64_Ehdr*>(image);
  if (image == nullptr || std::memcmp(found->e_ident, ELFMAG, SELFMAG) != 0) throw Failure{invalidImage};
  if (found->e_machine == cudaMachine) throw Failure{noBinaryForGpu};
  if (found->e_type != ET_DYN || found->e_shentsize != sizeof(Elf64_Shdr)) throw Failure{invalidImage};
  return found;
}

/**
 * Names the same open file in as many ways as wanted: the loader takes a path that it has seen for the library that it
 * has seen, and numbers of files come again. The count is written in components that mean nothing.
 */
std::string uniquePath(int file) {
  static std::atomic<unsigned> count{0};
  std::string path = "/proc/self/fd";
  for (unsigned rest = ++count; rest > 0; rest >>= 1) path += rest & 1 ? "/." : "//./.";
  return path + "/" + std::to_string(file);
}

void* load(const void* image, std::size_t bytes) {
  const int file = memfd_create("tutti-module", MFD_CLOEXEC);
  if (file < 0) throw Failure{outOfMemory};
  const auto* at = static_cast<const char*>(image);
  for (std::size_t written = 0; written < bytes;) {
    const ssize_t count = write(file, at + written, bytes - written);
    if (count <= 0) {
      close(file);
      throw Failure{outOfMemory};
    }
    written += static_cast<std::size_t>(count);
  }
  // Kernels take functions of mathematics from whatever the process has.
  static void* const mathematics = dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
  if (mathematics == nullptr) report("libm.so.6 cannot be loaded");
  void* const library = dlopen(uniquePath(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) report(std::string("a module cannot be loaded: ") + dlerror());
  close(file);
  if (library == nullptr) throw Failure{invalidImage};
  return library;
}

}  // namespace

LoadedModule::LoadedModule(const void* image, int computeCapability) {
  const Elf64_Ehdr* const elf = header(image);
  const auto* const bytes = static_cast<const char*>(image);
  const auto* const sections = reinterpret_cast<const Elf64_Shdr*>(bytes + elf->e_shoff);
  library_ = load(image, elf->e_shoff + std::size_t{elf->e_shnum} * sizeof(Elf64_Shdr));
  module_ = static_cast<const Module*>(dlsym(library_, "tuttiModule"));
  link_map* map = nullptr;
  if (module_ == nullptr || module_->version != abiVersion || dlinfo(library_, RTLD_DI_LINKMAP, &map) != 0) {
    dlclose(library_);
    throw Failure{invalidImage};
  }
  // Code for sm_80 runs on 8.0 to 8.9, and on no other.
  const int architecture = static_cast<int>(module_->architecture);
  if (architecture / 10 != computeCapability / 10 || architecture > computeCapability) {
    dlclose(library_);
    throw Failure{noBinaryForGpu};
  }
  const char* const names = bytes + sections[elf->e_shstrndx].sh_offset;
  for (int i = 0; i < elf->e_shnum; i++) {
    const std::string name = names + sections[i].sh_name;
    auto* const start = reinterpret_cast<unsigned char*>(map->l_addr + sections[i].sh_addr);
    if (name == "tutti_fibers") fibers = true;
    if (name == ".bss") shared = start, sharedBytes = sections[i].sh_size;
    if (name == "tutti_dynamic") dynamicShared = start, dynamicSharedBytes = sections[i].sh_size;
  }
}

LoadedModule::~LoadedModule() {
  if (library_ != nullptr) dlclose(library_);
}

const KernelEntry* LoadedModule::find(const std::string& name) const {
  const KernelEntry* const end = module_->kernels + module_->kernelCount;
  const KernelEntry* const found =
      std::find_if(module_->kernels, end, [&](const KernelEntry& kernel) { return name == kernel.name; });
  return found == end ? nullptr : found;
}

std::size_t Function::parameterBytes() const {
  if (kernel->parameterCount == 0) return 0;
  const Parameter& last = kernel->parameters[kernel->parameterCount - 1];
  return last.offset + last.size;
}

unsigned Function::maxThreads() const { return kernel->maxThreads == 0 ? 1024 : std::min(kernel->maxThreads, 1024u); }

}  // namespace tutti_emulator

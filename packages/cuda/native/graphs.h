// Captured commands: a graph launches in one call what would take one call each.
#pragma once

#include <map>
#include <optional>

#include "commands.h"
#include "stream.h"

namespace tutti {

class GraphTable {
 public:
  explicit GraphTable(const Context& context) : context_(context) {}
  ~GraphTable();
  GraphTable(const GraphTable&) = delete;
  GraphTable& operator=(const GraphTable&) = delete;

  // Of checked commands, which do not run. Neither memory is allocated nor freed on the way: that would become part of the graph.
  std::uint32_t capture(const CommandReader& reader, const std::uint32_t* words, std::size_t length);
  void launch(std::uint32_t graph, CUstream stream);
  // A launch that is still running ends before the driver frees it: until then it needs these modules.
  std::vector<std::shared_ptr<Module>> release(std::uint32_t graph);
  std::size_t count() const { return graphs_.size(); }

 private:
  struct Captured {
    CUgraphExec executable;
    // Their code must stay for as long as the graph.
    std::vector<std::shared_ptr<Module>> modules;
  };

  CUgraph record(const CommandReader& reader, const std::uint32_t* words, std::size_t length);
  std::map<std::uint32_t, Captured>::iterator require(std::uint32_t graph, const char* call);

  const Context& context_;
  // Nothing else is given to it, so that a capture that fails spoils no other work.
  std::optional<Stream> stream_;
  std::map<std::uint32_t, Captured> graphs_;
  std::uint32_t last_ = 0;
};

}  // namespace tutti

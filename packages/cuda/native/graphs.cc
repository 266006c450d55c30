#include "graphs.h"

#include <string>

namespace tutti {

GraphTable::~GraphTable() {
  if (context_.failed()) return;
  for (const auto& [id, graph] : graphs_) context_.api().cuGraphExecDestroy(graph.executable);
}

std::uint32_t GraphTable::capture(const CommandReader& reader, const std::uint32_t* words, std::size_t length) {
  if (!stream_) stream_.emplace(context_);
  CUgraph graph = record(reader, words, length);
  Captured captured{nullptr, reader.modulesOf(words, length)};
  const CUresult status = context_.api().cuGraphInstantiateWithFlags(&captured.executable, graph, 0);
  context_.api().cuGraphDestroy(graph);
  context_.check(status, "cuGraphInstantiateWithFlags");
  graphs_.emplace(++last_, std::move(captured));
  return last_;
}

CUgraph GraphTable::record(const CommandReader& reader, const std::uint32_t* words, std::size_t length) {
  CUgraph graph = nullptr;
  const CUstream stream = stream_->handle();
  // Thread-local: what other threads of the process allocate meanwhile is none of this capture's business.
  TUTTI_CALL(context_, cuStreamBeginCapture_v2, stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  try {
    reader.run(words, length, stream, nullptr);
  } catch (...) {
    // The stream must leave its capture, or it is of no further use.
    if (context_.api().cuStreamEndCapture(stream, &graph) == CUDA_SUCCESS && graph) context_.api().cuGraphDestroy(graph);
    throw;
  }
  TUTTI_CALL(context_, cuStreamEndCapture, stream, &graph);
  return graph;
}

void GraphTable::launch(std::uint32_t id, CUstream stream) {
  TUTTI_CALL(context_, cuGraphLaunch, require(id, "launchGraph")->second.executable, stream);
}

std::vector<std::shared_ptr<Module>> GraphTable::release(std::uint32_t id) {
  const auto found = require(id, "releaseGraph");
  TUTTI_CALL(context_, cuGraphExecDestroy, found->second.executable);
  std::vector<std::shared_ptr<Module>> modules = std::move(found->second.modules);
  graphs_.erase(found);
  return modules;
}

std::map<std::uint32_t, GraphTable::Captured>::iterator GraphTable::require(std::uint32_t id, const char* call) {
  const auto found = graphs_.find(id);
  if (found == graphs_.end()) throw invalidArgument(call, "there is no graph " + std::to_string(id));
  return found;
}

}  // namespace tutti

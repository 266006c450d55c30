// What lanes of a warp do together. The last to arrive does it for all of them.
#include <cstring>

#include "block.h"
#include "memory.h"

namespace tutti_emulator {

unsigned Executor::warp(Lane& lane, const Waiting& waiting) {
  Warp& warp = *lane.warp;
  const std::uint32_t bit = 1u << lane.number;
  // Lanes that the block does not have take no part.
  const std::uint32_t group = waiting.mask & warp.exists;
  lane.waiting = waiting;
  const auto where = [&] { return threadName(lane) + ", line " + std::to_string(waiting.line) + ": "; };
  if ((group & bit) == 0)
    fail(launchFailed, where() + "the mask of an operation of the warp does not name the thread that runs it");
  if ((group & warp.ended) != 0)
    failDivergence(where() + "the mask of an operation of the warp names lanes that have ended");
  warp.ready &= ~bit;
  warp.atWarp |= bit;
  if ((warp.atWarp & group) == group) {
    checkGroup(warp, group);
    completeWarp(warp, group);
    warp.atWarp &= ~group;
    warp.ready |= group;
  }
  leave(lane);
  return lane.result;
}

void Executor::checkGroup(Warp& warp, std::uint32_t group) {
  const Waiting& first = warp.lanes[__builtin_ctz(group)].waiting;
  for (unsigned i = 0; i < 32; i++) {
    if ((group >> i & 1) == 0) continue;
    const Waiting& other = warp.lanes[i].waiting;
    // Lanes may meet from different places to wait, but not to exchange.
    const bool same = other.op == first.op && (other.mask & warp.exists) == group &&
                      (other.line == first.line || other.op == WarpOp::sync) && other.matrix == first.matrix &&
                      other.count == first.count;
    if (!same)
      failDivergence("lanes of a warp are at different operations, in lines " + std::to_string(first.line) + " and " +
                     std::to_string(other.line));
  }
}

unsigned Executor::shuffled(const Warp& warp, unsigned lane, std::uint32_t group) const {
  const Waiting& waiting = warp.lanes[lane].waiting;
  const unsigned segment = lane & ~(waiting.width - 1), last = segment + waiting.width - 1;
  const unsigned argument = waiting.argument;
  unsigned source = lane;
  switch (waiting.op) {
    case WarpOp::shuffle: source = segment | (argument & (waiting.width - 1)); break;
    case WarpOp::shuffleUp: source = lane >= segment + argument ? lane - argument : lane; break;
    case WarpOp::shuffleDown: source = argument <= last - lane ? lane + argument : lane; break;
    default: source = (lane ^ (argument & 31)) <= last ? lane ^ (argument & 31) : lane; break;
  }
  // What a lane that takes no part would give is not defined.
  return (group >> source & 1) != 0 ? warp.lanes[source].waiting.value : sharedBits;
}

void Executor::completeWarp(Warp& warp, std::uint32_t group) {
  const WarpOp op = warp.lanes[__builtin_ctz(group)].waiting.op;
  if (op == WarpOp::sync) return;
  if (op == WarpOp::matrix || op == WarpOp::loadMatrix) {
    if (group != 0xffffffffu) fail(launchFailed, "a product or a load of matrices needs a whole warp");
    return op == WarpOp::matrix ? multiply(warp) : loadMatrices(warp);
  }
  std::uint32_t votes = 0;
  for (unsigned i = 0; i < 32; i++) {
    if ((group >> i & 1) != 0 && warp.lanes[i].waiting.value != 0) votes |= 1u << i;
  }
  for (unsigned i = 0; i < 32; i++) {
    if ((group >> i & 1) == 0) continue;
    unsigned& result = warp.lanes[i].result;
    switch (op) {
      case WarpOp::ballot: result = votes; break;
      case WarpOp::any: result = votes != 0; break;
      case WarpOp::all: result = votes == group; break;
      default: result = shuffled(warp, i, group);
    }
  }
}

}  // namespace tutti_emulator

// Products of small matrices, whose elements are spread over the lanes of a warp as the PTX ISA says (mma.m16n8k16,
// mma.m16n8k8, ldmatrix).
//
// With g = lane / 4 and t = lane % 4: the result's rows are g and g + 8, its columns 2t and 2t + 1. Of operands with
// elements of 16 bits a register holds two neighbours along k: a[0], a[1] rows g and g + 8 at k = 2t; a[2], a[3] the
// same at k = 2t + 8; b[0], b[1] column g at k = 2t and 2t + 8. Of TF32 a register holds one: k = t, and t + 4.
#include <cstring>

#include "../common/half.h"
#include "block.h"
#include "memory.h"

namespace tutti_emulator {
namespace {

struct Operands {
  float a[16][16];
  float b[16][8];
  float sums[16][8];
};

float element(MatrixKind kind, unsigned word, unsigned half) {
  const auto bits = static_cast<unsigned short>(word >> (16 * half));
  if (kind != MatrixKind::bf16k16) return halfToFloat(bits);
  const std::uint32_t wide = static_cast<std::uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

float tf32(unsigned word) {
  word &= 0xffffe000u;
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

void gather(Operands& operands, MatrixKind kind, const Lane& lane) {
  const unsigned g = lane.number / 4, t = lane.number % 4;
  const Waiting& own = lane.waiting;
  if (kind == MatrixKind::tf32k8) {
    for (unsigned i = 0; i < 4; i++) operands.a[g + 8 * (i & 1)][t + 4 * (i >> 1)] = tf32(own.a[i]);
    for (unsigned i = 0; i < 2; i++) operands.b[t + 4 * i][g] = tf32(own.b[i]);
  } else {
    const unsigned parts = kind == MatrixKind::f16k8 ? 1 : 2;
    for (unsigned half = 0; half < 2; half++) {
      for (unsigned i = 0; i < 2 * parts; i++)
        operands.a[g + 8 * (i & 1)][2 * t + half + 8 * (i >> 1)] = element(kind, own.a[i], half);
      for (unsigned i = 0; i < parts; i++) operands.b[2 * t + half + 8 * i][g] = element(kind, own.b[i], half);
    }
  }
  for (unsigned i = 0; i < 4; i++) operands.sums[g + 8 * (i >> 1)][2 * t + (i & 1)] = own.c[i];
}

// Eight columns at once: the compiler makes vectors of them.
void accumulate(Operands& operands, unsigned depth) {
  for (unsigned row = 0; row < 16; row++) {
    for (unsigned k = 0; k < depth; k++) {
      for (unsigned column = 0; column < 8; column++)
        operands.sums[row][column] += operands.a[row][k] * operands.b[k][column];
    }
  }
}

}  // namespace

void Executor::multiply(Warp& warp) {
  const MatrixKind kind = warp.lanes[0].waiting.matrix;
  Operands operands;
  for (unsigned i = 0; i < 32; i++) gather(operands, kind, warp.lanes[i]);
  accumulate(operands, kind == MatrixKind::tf32k8 || kind == MatrixKind::f16k8 ? 8 : 16);
  for (unsigned i = 0; i < 32; i++) {
    const unsigned g = i / 4, t = i % 4;
    for (unsigned j = 0; j < 4; j++) warp.lanes[i].waiting.d[j] = operands.sums[g + 8 * (j >> 1)][2 * t + (j & 1)];
  }
}

/** Lanes 8m to 8m + 7 give the addresses of the rows of matrix m; register m of a lane holds two neighbours of row g
 * (or, transposed, of column g). */
void Executor::loadMatrices(Warp& warp) {
  unsigned short elements[4][8][8];
  const Waiting& first = warp.lanes[0].waiting;
  const auto count = static_cast<unsigned>(first.count);
  for (unsigned i = 0; i < 8 * count; i++) {
    const void* const row = warp.lanes[i].waiting.row;
    const auto what = [&] {
      return threadName(warp.lanes[i]) + ", ldmatrix of line " + std::to_string(first.line) + ": ";
    };
    if (reinterpret_cast<Address>(row) % 16 != 0)
      fail(misalignedAddress, what() + "a row does not begin at a multiple of 16 bytes");
    if (sharedBytesAt(row, 16) == nullptr) fail(illegalAddress, what() + "a row is not in shared memory");
    std::memcpy(elements[i / 8][i % 8], row, 16);
  }
  for (unsigned i = 0; i < 32; i++) {
    const unsigned g = i / 4, t = i % 4;
    for (unsigned m = 0; m < count; m++) {
      const auto& matrix = elements[m];
      const unsigned low = first.transposed ? matrix[2 * t][g] : matrix[g][2 * t];
      const unsigned high = first.transposed ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
      warp.lanes[i].waiting.fragments[m] = low | high << 16;
    }
  }
}

}  // namespace tutti_emulator

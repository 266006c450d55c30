// What a matmul of cuBLASLt computes: D = epilogue(alpha * op(A) * op(B) + beta * C), batched, with sums in float32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tutti_blas {

enum DataType : int { float32 = 0, float16 = 2, bfloat16 = 14 };

inline std::size_t bytesOf(int type) { return type == float32 ? 4 : 2; }

/** Bits of an epilogue: which of them make one together is cuBLASLt's to say. */
enum Epilogue : int {
  plain = 1,
  relu = 2,
  bias = 4,
  reluGradient = 8,
  biasGradient = 16,
  gelu = 32,
  geluGradient = 64,
  auxiliary = 128,
  biasGradientA = 256,
  biasGradientB = 512,
};

struct Layout {
  int type;
  std::uint64_t rows, columns;
  std::int64_t leading;
  int rowMajor = 0;
  int batches = 1;
  std::int64_t batchStride = 0;

  /** Elements from the first to behind the last. */
  std::size_t span() const;
  std::size_t at(std::size_t batch, std::size_t row, std::size_t column) const;
};

struct Description {
  int compute, scale;
  int transposeA = 0, transposeB = 0;
  int epilogue = plain;
  /** Of the bias, or where its gradient goes. */
  void* biasPointer = nullptr;
  int biasType = -1;
  std::int64_t biasBatchStride = 0;
  void* auxiliaryPointer = nullptr;
  std::int64_t auxiliaryLeading = 0;
  std::int64_t auxiliaryBatchStride = 0;
};

struct Product {
  Description description;
  Layout a, b, c, d;
  const void *aPointer, *bPointer, *cPointer;
  void* dPointer;
  float alpha, beta;
  void* workspace = nullptr;
  std::size_t workspaceBytes = 0;

  /** The extent that is summed over. */
  std::uint64_t depth() const { return description.transposeA ? a.rows : a.columns; }
  /** Why it cannot be computed; empty where it can. */
  std::string fault() const;
  int biasType() const { return description.biasType >= 0 ? description.biasType : d.type; }
  /** Of the bias, or of its gradient; 0 where there is none. */
  std::size_t biasBytes() const;
  void run() const;
};

}  // namespace tutti_blas

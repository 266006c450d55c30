// Matrix products by cuBLASLt. What does not change from call to call, its choice of an algorithm above all, is prepared once; commands
// name a prepared product by a number.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <type_traits>

#include "blas.h"
#include "context.h"
#include "memory.h"

namespace tutti {

// An operand: lines of neighbouring elements at even distances. lhs is (m, k), rhs (k, n), their rows the lines; transposed, their columns.
struct ProductOperand {
  bool transposed;
  // Elements from a line to the next, and from a matrix to the next.
  std::uint64_t leading;
  std::uint64_t batchStride;
  // Bytes of which every address is a multiple.
  std::uint32_t alignment;
};

// `result[b] = lhs[b] * rhs[b] (+ bias)`, with sums in float32; the result is contiguous.
struct ProductDescription {
  cublasComputeType_t compute;
  cudaDataType_t operandType;
  cudaDataType_t resultType;
  std::uint64_t batches, m, n, k;
  ProductOperand lhs, rhs;
  std::uint32_t resultAlignment;
  // One for each column, in the result's type.
  bool bias;
  // The most that an algorithm may use.
  std::uint64_t workspaceBytes;
};

struct ProductAddresses {
  CUdeviceptr lhs, rhs, result, bias, workspace;
};

class Product {
 public:
  Product(const BlasApi& blas, cublasLtHandle_t handle, const ProductDescription& description);
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  // Throws INVALID_ARGUMENT unless every operand lies within an allocation, and is aligned as announced.
  void check(const DeviceMemory& memory, const ProductAddresses& addresses) const;
  void run(const ProductAddresses& addresses, CUstream stream) const;

 private:
  // The library's objects, which are the host's alone; destroyed on every way out.
  template <typename Handle>
  using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, cublasStatus_t(TUTTI_CUDA_CALL*)(Handle)>;

  Owned<cublasLtMatmulDesc_t> describe() const;
  Owned<cublasLtMatrixLayout_t> layout(cudaDataType_t type, std::uint64_t lines, std::uint64_t length, std::uint64_t leading,
                                       std::uint64_t batchStride) const;
  Owned<cublasLtMatmulPreference_t> preference() const;
  void choose();

  const BlasApi& blas_;
  cublasLtHandle_t handle_;
  ProductDescription description_;
  // The library's matrices are column-major. Ours, seen so, are transposed: its A is our rhs, its B our lhs.
  Owned<cublasLtMatmulDesc_t> matmul_;
  Owned<cublasLtMatrixLayout_t> lhs_;
  Owned<cublasLtMatrixLayout_t> rhs_;
  Owned<cublasLtMatrixLayout_t> result_;
  cublasLtMatmulAlgo_t algorithm_{};
  std::size_t workspaceBytes_ = 0;
};

class ProductTable {
 public:
  // Without a library there is nothing to prepare.
  ProductTable(const Context& context, std::shared_ptr<const BlasApi> blas) : context_(context), blas_(std::move(blas)) {}
  ~ProductTable();
  ProductTable(const ProductTable&) = delete;
  ProductTable& operator=(const ProductTable&) = delete;

  // Throws CUBLAS_STATUS_NOT_SUPPORTED where the library has no algorithm for it.
  std::uint32_t prepare(const ProductDescription& description);
  // What was submitted goes on: the library has read what it needs.
  void release(std::uint32_t product);
  // Null for a number that names no product.
  const Product* find(std::uint32_t product) const;
  std::size_t count() const { return products_.size(); }

 private:
  const Context& context_;
  std::shared_ptr<const BlasApi> blas_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<std::uint32_t, std::unique_ptr<Product>> products_;
  std::uint32_t last_ = 0;
};

}  // namespace tutti

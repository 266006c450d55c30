#include "products.h"

#include <string>

namespace tutti {
namespace {

constexpr std::uint64_t mostExtent = 0x7fffffff;
// Far above any memory, and far below what would wrap around.
constexpr double mostElements = 1e15;

std::uint64_t bytesOf(cudaDataType_t type) { return type == CUDA_R_32F ? 4 : 2; }

[[noreturn]] void malformed(const std::string& message) { throw invalidArgument("product", message); }

struct Lines {
  std::uint64_t lines;
  std::uint64_t length;
};

Lines linesOf(const ProductOperand& operand, std::uint64_t rows, std::uint64_t columns) {
  return operand.transposed ? Lines{columns, rows} : Lines{rows, columns};
}

// Elements from the first to behind the last.
std::uint64_t spanOf(const ProductOperand& operand, std::uint64_t batches, Lines lines) {
  return (batches - 1) * operand.batchStride + (lines.lines - 1) * operand.leading + lines.length;
}

void checkOperand(const ProductOperand& operand, std::uint64_t batches, Lines lines, const char* name) {
  const double span = static_cast<double>(batches) * static_cast<double>(operand.batchStride) +
                      static_cast<double>(lines.lines) * static_cast<double>(operand.leading);
  if (operand.leading < lines.length || span > mostElements) {
    malformed(std::string("the strides of ") + name + " do not fit its extents");
  }
  if (operand.alignment == 0) malformed(std::string("the alignment of ") + name + " is 0");
}

void checkDescription(const ProductDescription& product) {
  for (const std::uint64_t extent : {product.batches, product.m, product.n, product.k}) {
    if (extent == 0 || extent > mostExtent) malformed("an extent is " + std::to_string(extent));
  }
  checkOperand(product.lhs, product.batches, linesOf(product.lhs, product.m, product.k), "lhs");
  checkOperand(product.rhs, product.batches, linesOf(product.rhs, product.k, product.n), "rhs");
  const ProductOperand result{false, product.n, product.m * product.n, product.resultAlignment};
  checkOperand(result, product.batches, {product.m, product.n}, "the result");
}

void* pointer(CUdeviceptr address) { return reinterpret_cast<void*>(static_cast<std::uintptr_t>(address)); }

}  // namespace

Product::Product(const BlasApi& blas, cublasLtHandle_t handle, const ProductDescription& description)
    : blas_(blas),
      handle_(handle),
      description_(description),
      matmul_(nullptr, blas.cublasLtMatmulDescDestroy),
      lhs_(nullptr, blas.cublasLtMatrixLayoutDestroy),
      rhs_(nullptr, blas.cublasLtMatrixLayoutDestroy),
      result_(nullptr, blas.cublasLtMatrixLayoutDestroy) {
  checkDescription(description);
  const ProductOperand& lhs = description.lhs;
  const ProductOperand& rhs = description.rhs;
  const Lines lhsLines = linesOf(lhs, description.m, description.k);
  const Lines rhsLines = linesOf(rhs, description.k, description.n);
  matmul_ = describe();
  lhs_ = layout(description.operandType, lhsLines.lines, lhsLines.length, lhs.leading, lhs.batchStride);
  rhs_ = layout(description.operandType, rhsLines.lines, rhsLines.length, rhs.leading, rhs.batchStride);
  result_ = layout(description.resultType, description.m, description.n, description.n, description.m * description.n);
  choose();
}

Product::Owned<cublasLtMatmulDesc_t> Product::describe() const {
  cublasLtMatmulDesc_t made = nullptr;
  TUTTI_CALL(blas_, cublasLtMatmulDescCreate, &made, description_.compute, CUDA_R_32F);
  Owned<cublasLtMatmulDesc_t> owned(made, blas_.cublasLtMatmulDescDestroy);
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, auto value) {
    TUTTI_CALL(blas_, cublasLtMatmulDescSetAttribute, made, attribute, &value, sizeof value);
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, description_.rhs.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_TRANSB, description_.lhs.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, description_.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT);
  // Algorithms are found only where there is one; each call has its own.
  if (description_.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, pointer(256));
  return owned;
}

Product::Owned<cublasLtMatrixLayout_t> Product::layout(cudaDataType_t type, std::uint64_t lines, std::uint64_t length,
                                                       std::uint64_t leading, std::uint64_t batchStride) const {
  cublasLtMatrixLayout_t made = nullptr;
  TUTTI_CALL(blas_, cublasLtMatrixLayoutCreate, &made, type, length, lines, static_cast<std::int64_t>(leading));
  Owned<cublasLtMatrixLayout_t> owned(made, blas_.cublasLtMatrixLayoutDestroy);
  const auto batches = static_cast<std::int32_t>(description_.batches);
  const auto stride = static_cast<std::int64_t>(batchStride);
  TUTTI_CALL(blas_, cublasLtMatrixLayoutSetAttribute, made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches, sizeof batches);
  TUTTI_CALL(blas_, cublasLtMatrixLayoutSetAttribute, made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
             sizeof stride);
  return owned;
}

Product::Owned<cublasLtMatmulPreference_t> Product::preference() const {
  cublasLtMatmulPreference_t made = nullptr;
  TUTTI_CALL(blas_, cublasLtMatmulPreferenceCreate, &made);
  Owned<cublasLtMatmulPreference_t> owned(made, blas_.cublasLtMatmulPreferenceDestroy);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    TUTTI_CALL(blas_, cublasLtMatmulPreferenceSetAttribute, made, attribute, &value, sizeof value);
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, description_.workspaceBytes);
  // A contraction may be cut into parts whose sums are added in a fixed order, in float32. The other ways add in the order in which
  // parts come to an end, or round the parts' sums to the result's type.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, description_.rhs.alignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, description_.lhs.alignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, description_.resultAlignment);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, description_.resultAlignment);
  return owned;
}

void Product::choose() {
  const Owned<cublasLtMatmulPreference_t> wishes = preference();
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  TUTTI_CALL(blas_, cublasLtMatmulAlgoGetHeuristic, handle_, matmul_.get(), rhs_.get(), lhs_.get(), result_.get(),
             result_.get(), wishes.get(), 1, &found, &count);
  blas_.check(count > 0 ? found.state : CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmulAlgoGetHeuristic");
  algorithm_ = found.algo;
  workspaceBytes_ = found.workspaceSize;
}

void Product::check(const DeviceMemory& memory, const ProductAddresses& at) const {
  const ProductDescription& product = description_;
  const std::uint64_t operandBytes = bytesOf(product.operandType);
  const std::uint64_t resultBytes = bytesOf(product.resultType);
  const auto require = [&](CUdeviceptr address, std::uint64_t bytes, std::uint32_t alignment) {
    memory.requireRange(address, bytes, "product");
    if (address % alignment != 0) malformed("an operand is not aligned to " + std::to_string(alignment) + " bytes");
  };
  require(at.lhs, operandBytes * spanOf(product.lhs, product.batches, linesOf(product.lhs, product.m, product.k)),
          product.lhs.alignment);
  require(at.rhs, operandBytes * spanOf(product.rhs, product.batches, linesOf(product.rhs, product.k, product.n)),
          product.rhs.alignment);
  require(at.result, resultBytes * product.batches * product.m * product.n, product.resultAlignment);
  if (product.bias) require(at.bias, resultBytes * product.n, static_cast<std::uint32_t>(resultBytes));
  if (workspaceBytes_ > 0) require(at.workspace, workspaceBytes_, 256);
}

void Product::run(const ProductAddresses& at, CUstream stream) const {
  const float alpha = 1;
  const float beta = 0;
  if (description_.bias) {
    const void* const bias = pointer(at.bias);
    TUTTI_CALL(blas_, cublasLtMatmulDescSetAttribute, matmul_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
  }
  const cublasStatus_t status = blas_.cublasLtMatmul(
      handle_, matmul_.get(), &alpha, pointer(at.rhs), rhs_.get(), pointer(at.lhs), lhs_.get(), &beta, pointer(at.result),
      result_.get(), pointer(at.result), result_.get(), &algorithm_, workspaceBytes_ > 0 ? pointer(at.workspace) : nullptr,
      workspaceBytes_, stream);
  blas_.check(status, "cublasLtMatmul");
}

ProductTable::~ProductTable() {
  products_.clear();
  // It holds memory of the device.
  if (handle_ && !context_.failed()) blas_->cublasLtDestroy(handle_);
}

std::uint32_t ProductTable::prepare(const ProductDescription& description) {
  if (!blas_) throw invalidArgument("prepareProduct", "the device was opened without a library for products");
  if (!handle_) TUTTI_CALL(*blas_, cublasLtCreate, &handle_);
  auto product = std::make_unique<Product>(*blas_, handle_, description);
  products_.emplace(++last_, std::move(product));
  return last_;
}

void ProductTable::release(std::uint32_t id) {
  if (products_.erase(id) == 0) throw invalidArgument("releaseProduct", "there is no product " + std::to_string(id));
}

const Product* ProductTable::find(std::uint32_t id) const {
  const auto found = products_.find(id);
  return found == products_.end() ? nullptr : found->second.get();
}

}  // namespace tutti

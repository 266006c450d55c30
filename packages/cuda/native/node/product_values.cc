#include "product_values.h"

#include "values.h"

namespace tutti {
namespace {

Napi::Object toObject(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) throw invalidArgument(name, "not an object");
  return value.As<Napi::Object>();
}

cudaDataType_t toType(const Napi::Value& value, const char* name) {
  const std::string type = toString(value, name);
  if (type == "float32") return CUDA_R_32F;
  if (type == "float16") return CUDA_R_16F;
  if (type == "bfloat16") return CUDA_R_16BF;
  throw invalidArgument(name, type + " is no type of a product");
}

ProductOperand toOperand(const Napi::Value& value, const char* name) {
  const Napi::Object object = toObject(value, name);
  return {object.Get("transposed").ToBoolean(), toSize(object.Get("leading"), "leading"),
          toSize(object.Get("batchStride"), "batchStride"), toUint32(object.Get("alignment"), "alignment")};
}

}  // namespace

ProductDescription toProductDescription(const Napi::Value& value) {
  const Napi::Object object = toObject(value, "product");
  ProductDescription product{};
  product.compute = object.Get("tf32").ToBoolean() ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  product.operandType = toType(object.Get("operandType"), "operandType");
  product.resultType = toType(object.Get("resultType"), "resultType");
  product.batches = toSize(object.Get("batches"), "batches");
  product.m = toSize(object.Get("m"), "m");
  product.n = toSize(object.Get("n"), "n");
  product.k = toSize(object.Get("k"), "k");
  product.lhs = toOperand(object.Get("lhs"), "lhs");
  product.rhs = toOperand(object.Get("rhs"), "rhs");
  product.resultAlignment = toUint32(object.Get("resultAlignment"), "resultAlignment");
  product.bias = object.Get("bias").ToBoolean();
  product.workspaceBytes = toSize(object.Get("workspaceBytes"), "workspaceBytes");
  return product;
}

}  // namespace tutti

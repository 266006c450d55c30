#include "product.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "../common/half.h"

namespace tutti_blas {
namespace {

constexpr int computeFloat32 = 68, computePedantic = 69, computeTf32 = 77;

std::uint32_t bitsOf(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

float floatOf(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

float read(const void* from, int type, std::size_t index) {
  if (type == float32) return static_cast<const float*>(from)[index];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(from)[index];
  if (type == bfloat16) return floatOf(static_cast<std::uint32_t>(bits) << 16);
  return tutti_emulator::halfToFloat(bits);
}

void write(void* to, int type, std::size_t index, float value) {
  if (type == float32) {
    static_cast<float*>(to)[index] = value;
    return;
  }
  std::uint16_t& target = static_cast<std::uint16_t*>(to)[index];
  if (type == bfloat16) {
    const std::uint32_t bits = bitsOf(value);
    target = value != value ? 0x7fff : static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    return;
  }
  target = tutti_emulator::floatToHalf(value);
}

float roundedToTf32(float value) {
  return std::isfinite(value) ? floatOf((bitsOf(value) + 0x1000) & 0xffffe000u) : value;
}

/** The approximation by tanh, which is the one that cuBLASLt has. */
constexpr float geluScale = 0.7978845608f, geluCube = 0.044715f;
float geluOf(float x) { return 0.5f * x * (1 + std::tanh(geluScale * (x + geluCube * x * x * x))); }
float geluSlope(float x) {
  const float t = std::tanh(geluScale * (x + geluCube * x * x * x));
  return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * geluScale * (1 + 3 * geluCube * x * x);
}

/** An operand as float32, (rows, columns) row-major, transposed where that is asked for. */
std::vector<float> operand(const Layout& layout, const void* from, std::size_t batch, bool transposed, bool tf32) {
  std::vector<float> values(layout.rows * layout.columns);
  for (std::size_t row = 0; row < layout.rows; row++) {
    for (std::size_t column = 0; column < layout.columns; column++) {
      const float value = read(from, layout.type, layout.at(batch, row, column));
      values[transposed ? column * layout.rows + row : row * layout.columns + column] =
          tf32 ? roundedToTf32(value) : value;
    }
  }
  return values;
}

/** Applies the epilogue to one batch of sums (m, n), and stores it. */
class Finish {
 public:
  Finish(const Product& product, std::size_t batch)
      : product_(product), description_(product.description), batch_(batch) {}

  void run(std::vector<float>& sums) {
    const std::size_t m = product_.d.rows, n = product_.d.columns;
    std::vector<float> gradients(m, 0.0f);
    for (std::size_t column = 0; column < n; column++) {
      for (std::size_t row = 0; row < m; row++) {
        const float value = element(row, column, sums[row * n + column]);
        gradients[row] += value;
        write(product_.dPointer, product_.d.type, product_.d.at(batch_, row, column), value);
      }
    }
    if (has(biasGradient)) storeGradient(gradients);
  }

  void storeGradient(const std::vector<float>& gradients) const {
    for (std::size_t i = 0; i < gradients.size(); i++)
      write(description_.biasPointer, product_.biasType(), biasIndex(i), gradients[i]);
  }

 private:
  bool has(int bit) const { return (description_.epilogue & bit) != 0; }
  std::size_t biasIndex(std::size_t i) const {
    return batch_ * static_cast<std::size_t>(description_.biasBatchStride) + i;
  }
  std::size_t auxiliaryIndex(std::size_t row, std::size_t column) const {
    return batch_ * static_cast<std::size_t>(description_.auxiliaryBatchStride) +
           column * static_cast<std::size_t>(description_.auxiliaryLeading) + row;
  }

  float element(std::size_t row, std::size_t column, float value) {
    const std::size_t index = auxiliaryIndex(row, column);
    if (has(reluGradient)) return maskBit(index) ? value : 0.0f;
    if (has(geluGradient)) return value * geluSlope(read(description_.auxiliaryPointer, product_.d.type, index));
    if (has(bias)) value += read(description_.biasPointer, product_.biasType(), biasIndex(row));
    if (has(relu)) {
      // A bit for each element: whether it was above zero.
      if (has(auxiliary)) setMaskBit(index, value > 0);
      return value > 0 || value != value ? value : 0.0f;
    }
    if (has(gelu)) {
      if (has(auxiliary)) write(description_.auxiliaryPointer, product_.d.type, index, value);
      return geluOf(value);
    }
    return value;
  }

  bool maskBit(std::size_t index) const {
    return (static_cast<const unsigned char*>(description_.auxiliaryPointer)[index / 8] >> (index % 8) & 1) != 0;
  }
  void setMaskBit(std::size_t index, bool value) const {
    unsigned char& byte = static_cast<unsigned char*>(description_.auxiliaryPointer)[index / 8];
    byte = static_cast<unsigned char>((byte & ~(1u << (index % 8))) | (value ? 1u << (index % 8) : 0u));
  }

  const Product& product_;
  const Description& description_;
  const std::size_t batch_;
};

}  // namespace

std::size_t Layout::at(std::size_t batch, std::size_t row, std::size_t column) const {
  const auto stride = static_cast<std::size_t>(leading);
  return batch * static_cast<std::size_t>(batchStride) + (rowMajor ? row * stride + column : column * stride + row);
}

std::size_t Layout::span() const {
  return rows == 0 || columns == 0 ? 0 : at(static_cast<std::size_t>(batches) - 1, rows - 1, columns - 1) + 1;
}

std::string Product::fault() const {
  const auto known = [](int type) { return type == float32 || type == float16 || type == bfloat16; };
  if (!known(a.type) || !known(b.type) || !known(c.type) || !known(d.type))
    return "types other than float32, float16 and bfloat16";
  if (a.type != b.type || c.type != d.type || (a.type == float32 && d.type != float32)) return "these types together";
  if (description.compute != computeFloat32 && description.compute != computePedantic &&
      description.compute != computeTf32)
    return "this type of sums";
  if (description.compute == computeTf32 && a.type != float32) return "TF32 of operands that are not float32";
  const std::uint64_t m = description.transposeA ? a.columns : a.rows, k = depth();
  const std::uint64_t n = description.transposeB ? b.rows : b.columns;
  if ((description.transposeB ? b.columns : b.rows) != k || d.rows != m || d.columns != n || c.rows != m ||
      c.columns != n)
    return "these shapes";
  for (const Layout* layout : {&a, &b, &c, &d}) {
    if (layout->leading < static_cast<std::int64_t>(layout->rowMajor ? layout->columns : layout->rows))
      return "a leading dimension below the extent";
    if (layout->batches != d.batches) return "different numbers of batches";
  }
  constexpr int known_[] = {plain,
                            relu,
                            relu | auxiliary,
                            bias,
                            relu | bias,
                            relu | bias | auxiliary,
                            gelu,
                            gelu | auxiliary,
                            gelu | bias,
                            gelu | bias | auxiliary,
                            reluGradient | auxiliary,
                            reluGradient | auxiliary | biasGradient,
                            geluGradient | auxiliary,
                            geluGradient | auxiliary | biasGradient,
                            biasGradientA,
                            biasGradientB};
  if (std::find(std::begin(known_), std::end(known_), description.epilogue) == std::end(known_)) return "this epilogue";
  const bool wantsBias = (description.epilogue & (bias | biasGradient | biasGradientA | biasGradientB)) != 0;
  if (wantsBias && description.biasPointer == nullptr) return "an epilogue with a bias and no pointer to it";
  if ((description.epilogue & auxiliary) != 0) {
    if (description.auxiliaryPointer == nullptr || description.auxiliaryLeading < static_cast<std::int64_t>(m))
      return "an epilogue without its auxiliary matrix";
    const bool mask = (description.epilogue & (relu | reluGradient)) != 0;
    if (description.auxiliaryLeading % (mask ? 128 : 8) != 0) return "this leading dimension of the auxiliary matrix";
  }
  return "";
}

std::size_t Product::biasBytes() const {
  if ((description.epilogue & (bias | biasGradient | biasGradientA | biasGradientB)) == 0) return 0;
  const std::size_t length = description.epilogue == biasGradientB ? d.columns : d.rows;
  const std::size_t last =
      (static_cast<std::size_t>(d.batches) - 1) * static_cast<std::size_t>(description.biasBatchStride) + length;
  return last * bytesOf(biasType());
}

void Product::run() const {
  // Sums of parts would be there; NaN shows whoever has something else in it.
  if (workspaceBytes > 0) std::memset(workspace, 0xff, workspaceBytes);
  const bool tf32 = description.compute == computeTf32;
  const std::size_t m = d.rows, n = d.columns, k = depth();
  for (std::size_t batch = 0; batch < static_cast<std::size_t>(d.batches); batch++) {
    const std::vector<float> left = operand(a, aPointer, batch, description.transposeA != 0, tf32);
    const std::vector<float> right = operand(b, bPointer, batch, description.transposeB != 0, tf32);
    std::vector<float> sums(m * n, 0.0f), sumsA(m, 0.0f), sumsB(n, 0.0f);
    for (std::size_t row = 0; row < m; row++) {
      for (std::size_t i = 0; i < k; i++) {
        const float factor = left[row * k + i];
        sumsA[row] += factor;
        for (std::size_t column = 0; column < n; column++) sums[row * n + column] += factor * right[i * n + column];
      }
      for (std::size_t column = 0; column < n; column++) {
        float& sum = sums[row * n + column];
        sum *= alpha;
        // Where beta is zero, C is not read: it may hold NaN.
        if (beta != 0) sum += beta * read(cPointer, c.type, c.at(batch, row, column));
      }
    }
    for (std::size_t i = 0; i < k; i++) {
      for (std::size_t column = 0; column < n; column++) sumsB[column] += right[i * n + column];
    }
    Finish finish(*this, batch);
    finish.run(sums);
    if (description.epilogue == biasGradientA) finish.storeGradient(sumsA);
    if (description.epilogue == biasGradientB) finish.storeGradient(sumsB);
  }
}

}  // namespace tutti_blas

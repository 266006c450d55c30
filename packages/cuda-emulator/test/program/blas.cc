// Products of the emulated cuBLASLt, against products in double precision.
#include <cmath>

#include "session.h"

namespace {

constexpr int float32 = 0, bfloat16 = 14, sums32 = 68, sumsTf32 = 77;

struct Algorithm {
  std::uint64_t data[8];
  std::size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

/** A call of the library, with its objects. */
class Matmul {
 public:
  explicit Matmul(Session& session, int compute = sums32) : session_(session) {
    CU("cublasLtCreate", &handle);
    CU("cublasLtMatmulDescCreate", &description, compute, float32);
    CU("cublasLtMatmulPreferenceCreate", &preference);
  }
  ~Matmul() {
    for (const Handle layout : layouts_) call("cublasLtMatrixLayoutDestroy", layout);
    call("cublasLtMatmulPreferenceDestroy", preference);
    call("cublasLtMatmulDescDestroy", description);
    call("cublasLtDestroy", handle);
  }
  template <class T>
  void set(int attribute, T value) {
    CU("cublasLtMatmulDescSetAttribute", description, attribute, static_cast<const void*>(&value), sizeof value);
  }
  Handle layout(int type, std::uint64_t rows, std::uint64_t columns, std::int64_t leading, int batches = 1,
                std::int64_t stride = 0) {
    Handle made = nullptr;
    CU("cublasLtMatrixLayoutCreate", &made, type, rows, columns, leading);
    CU("cublasLtMatrixLayoutSetAttribute", made, 5, static_cast<const void*>(&batches), sizeof batches);
    CU("cublasLtMatrixLayoutSetAttribute", made, 6, static_cast<const void*>(&stride), sizeof stride);
    layouts_.push_back(made);
    return made;
  }
  void run(Handle a, Address aAt, Handle b, Address bAt, Handle d, Address dAt, float alpha = 1, float beta = 0) {
    Algorithm found[2];
    int count = 0;
    CU("cublasLtMatmulAlgoGetHeuristic", handle, description, a, b, d, d, preference, 2, static_cast<Algorithm*>(found),
       &count);
    CHECK(count == 2);
    CU("cublasLtMatmul", handle, description, static_cast<const void*>(&alpha), aAt, a, bAt, b,
       static_cast<const void*>(&beta), dAt, d, dAt, d, static_cast<Algorithm*>(found), Address{0}, std::size_t{0},
       session_.stream);
  }
  Handle handle = nullptr, description = nullptr, preference = nullptr;

 private:
  Session& session_;
  std::vector<Handle> layouts_;
};

float brainToFloat(std::uint16_t bits) {
  const std::uint32_t word = static_cast<std::uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

}  // namespace

SCENARIO(blasProduct, "cuBLASLt: batched, transposed, with alpha and beta") {
  Session session;
  constexpr std::size_t m = 7, n = 5, k = 9, batches = 3;
  const std::vector<float> a = randomNumbers(batches * m * k), b = randomNumbers(batches * k * n, 2),
                           d = randomNumbers(batches * m * n, 3);
  const Address as = session.upload(a), bs = session.upload(b), ds = session.upload(d);
  Matmul matmul(session);
  matmul.set(3, 1);
  // A is stored as (k, m); everything column-major.
  matmul.run(matmul.layout(float32, k, m, k, batches, m * k), as, matmul.layout(float32, k, n, k, batches, k * n), bs,
             matmul.layout(float32, m, n, m, batches, m * n), ds, 2.0f, 0.5f);
  const std::vector<float> result = session.download<float>(ds, d.size());
  for (std::size_t batch = 0; batch < batches; batch++) {
    for (std::size_t row = 0; row < m; row++) {
      for (std::size_t column = 0; column < n; column++) {
        double sum = 0;
        for (std::size_t i = 0; i < k; i++)
          sum += static_cast<double>(a[batch * m * k + row * k + i]) * b[batch * k * n + column * k + i];
        const std::size_t at = batch * m * n + column * m + row;
        CHECK(std::fabs(2 * sum + 0.5 * d[at] - result[at]) < 1e-5);
      }
    }
  }
}

SCENARIO(blasEpilogues, "cuBLASLt: epilogues") {
  Session session;
  constexpr std::size_t m = 8, n = 6, k = 4, leading = 128;
  const std::vector<float> a = randomNumbers(m * k), b = randomNumbers(k * n, 2), bias = randomNumbers(m, 3);
  const Address as = session.upload(a), bs = session.upload(b), biases = session.upload(bias),
                ds = session.allocate(m * n * 4);
  const Address auxiliary = session.allocate(leading * n * 4), gradient = session.allocate(m * 4);
  const auto product = [&](std::size_t row, std::size_t column) {
    double sum = 0;
    for (std::size_t i = 0; i < k; i++) sum += static_cast<double>(a[i * m + row]) * b[column * k + i];
    return sum;
  };
  const auto gelu = [](double x) { return 0.5 * x * (1 + std::tanh(0.7978845608 * (x + 0.044715 * x * x * x))); };
  const auto run = [&](int epilogue, Address biasAt) {
    Matmul matmul(session);
    matmul.set(7, epilogue);
    matmul.set(8, biasAt);
    matmul.set(11, auxiliary);
    matmul.set(12, static_cast<std::int64_t>(leading));
    matmul.run(matmul.layout(float32, m, k, m), as, matmul.layout(float32, k, n, k), bs,
               matmul.layout(float32, m, n, m), ds);
    return session.download<float>(ds, m * n);
  };
  const auto same = [&](const std::vector<float>& result,
                        const std::function<double(std::size_t, std::size_t)>& expected) {
    for (std::size_t i = 0; i < m * n; i++) {
      if (std::fabs(result[i] - expected(i % m, i / m)) > 1e-5) return false;
    }
    return true;
  };
  const auto biased = [&](std::size_t row, std::size_t column) { return product(row, column) + bias[row]; };
  CHECK(same(run(4, biases), biased));
  CHECK(same(run(6, biases), [&](std::size_t row, std::size_t column) { return std::fmax(biased(row, column), 0); }));
  CHECK(same(run(36, biases), [&](std::size_t row, std::size_t column) { return gelu(biased(row, column)); }));
  // The mask that ReLU leaves is what its gradient goes by.
  run(134, biases);
  const auto masked = [&](std::size_t row, std::size_t column) {
    return biased(row, column) > 0 ? product(row, column) : 0;
  };
  CHECK(same(run(152, gradient), masked));
  const std::vector<float> rows = session.download<float>(gradient, m);
  for (std::size_t row = 0; row < m; row++) {
    double sum = 0;
    for (std::size_t column = 0; column < n; column++) sum += masked(row, column);
    CHECK(std::fabs(sum - rows[row]) < 1e-5);
  }
  // The same for GELU, which leaves what it was given.
  run(164, biases);
  CHECK(same(run(192, gradient), [&](std::size_t row, std::size_t column) {
    const double x = biased(row, column), step = 1e-5;
    return product(row, column) * (gelu(x + step) - gelu(x - step)) / (2 * step);
  }));
}

SCENARIO(blasFormats, "cuBLASLt: bfloat16 and TF32") {
  Session session;
  constexpr std::size_t m = 6, n = 4, k = 16;
  std::vector<std::uint16_t> a(m * k), b(k * n);
  for (std::size_t i = 0; i < a.size(); i++) a[i] = static_cast<std::uint16_t>(0x3f80 + i);
  for (std::size_t i = 0; i < b.size(); i++) b[i] = static_cast<std::uint16_t>(0xbf00 + i);
  const Address as = session.upload(a), bs = session.upload(b), ds = session.allocate(m * n * 2);
  Matmul brain(session);
  brain.run(brain.layout(bfloat16, m, k, m), as, brain.layout(bfloat16, k, n, k), bs, brain.layout(bfloat16, m, n, m),
            ds);
  const auto result = session.download<std::uint16_t>(ds, m * n);
  for (std::size_t i = 0; i < m * n; i++) {
    double sum = 0;
    for (std::size_t at = 0; at < k; at++)
      sum += static_cast<double>(brainToFloat(a[at * m + i % m])) * brainToFloat(b[i / m * k + at]);
    CHECK(std::fabs(sum - brainToFloat(result[i])) <= std::fabs(sum) / 256);
  }
  // 1 + 2^-11 is a tie of TF32, which has 10 bits: away from zero.
  const Address x = session.upload(std::vector<float>{1.0f + 1.0f / 2048}),
                y = session.upload(std::vector<float>{1.0f}), z = session.allocate(4);
  Matmul tf32(session, sumsTf32);
  const Handle one = tf32.layout(float32, 1, 1, 1);
  tf32.run(one, x, one, y, one, z);
  CHECK(session.download<float>(z, 1)[0] == 1.0f + 1.0f / 1024);
}

SCENARIO(blasCapture, "cuBLASLt: in a graph") {
  Session session;
  const Address x = session.upload(std::vector<float>{2.0f}), y = session.upload(std::vector<float>{3.0f}),
                z = session.upload(std::vector<float>{1.0f});
  CU("cuStreamSynchronize", session.stream);
  Handle graph = nullptr, executable = nullptr;
  {
    Matmul matmul(session);
    const Handle one = matmul.layout(float32, 1, 1, 1);
    CU("cuStreamBeginCapture_v2", session.stream, 1);
    matmul.run(one, x, one, y, one, z, 1.0f, 1.0f);
    CU("cuStreamEndCapture", session.stream, &graph);
  }
  CU("cuGraphInstantiateWithFlags", &executable, graph, 0ull);
  for (int i = 0; i < 3; i++) CU("cuGraphLaunch", executable, session.stream);
  CHECK(session.download<float>(z, 1)[0] == 19.0f);
}

SCENARIO(blasRefusals, "cuBLASLt: what it cannot do") {
  Session session;
  Matmul matmul(session);
  const Handle one = matmul.layout(float32, 4, 4, 4), other = matmul.layout(float32, 5, 4, 5);
  Algorithm found[1];
  int count = 0;
  EXPECT(15, "cublasLtMatmulAlgoGetHeuristic", matmul.handle, matmul.description, one, other, one, one,
         matmul.preference, 1, static_cast<Algorithm*>(found), &count);
  matmul.set(7, 3);
  EXPECT(15, "cublasLtMatmulAlgoGetHeuristic", matmul.handle, matmul.description, one, one, one, one, matmul.preference,
         1, static_cast<Algorithm*>(found), &count);
  matmul.set(7, 1);
  const Address small = session.allocate(32);
  matmul.run(one, small, one, small, one, small);
  CHECK(session.finish() == 700);
}

SCENARIO(blasBias, "cuBLASLt: a bias out of bounds") {
  Session session;
  const Address x = session.upload(std::vector<float>(16, 1.0f)), bias = session.upload(std::vector<float>(3));
  Matmul matmul(session);
  const Handle four = matmul.layout(float32, 4, 4, 4);
  matmul.set(7, 4);
  matmul.set(8, bias);
  matmul.run(four, x, four, x, four, session.allocate(64));
  CHECK(session.finish() == 700);
}

SCENARIO(blasFaults, "cuBLASLt: faults") {
  Session session;
  Matmul matmul(session);
  const Handle one = matmul.layout(float32, 1, 1, 1);
  Algorithm found[1];
  int count = 0;
  EXPECT(15, "cublasLtMatmulAlgoGetHeuristic", matmul.handle, matmul.description, one, one, one, one, matmul.preference,
         1, static_cast<Algorithm*>(found), &count);
  CU("cublasLtMatmulAlgoGetHeuristic", matmul.handle, matmul.description, one, one, one, one, matmul.preference, 1,
     static_cast<Algorithm*>(found), &count);
  const Address x = session.upload(std::vector<float>{2.0f});
  const float alpha = 1, beta = 0;
  EXPECT(13, "cublasLtMatmul", matmul.handle, matmul.description, static_cast<const void*>(&alpha), x, one, x, one,
         static_cast<const void*>(&beta), x, one, x, one, static_cast<Algorithm*>(found), Address{0}, std::size_t{0},
         session.stream);
}

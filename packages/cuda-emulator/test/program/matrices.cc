// Products of matrices on a warp, against products in double precision.
#include <cmath>

#include "session.h"

namespace {

std::uint16_t half(float value) {
  // Of numbers that float16 holds exactly.
  const int sign = value < 0 ? 0x8000 : 0;
  if (value == 0) return static_cast<std::uint16_t>(sign);
  int exponent;
  const float fraction = std::frexp(std::fabs(value), &exponent);
  return static_cast<std::uint16_t>(sign | ((exponent + 14) << 10) | (static_cast<int>(fraction * 2048) - 1024));
}

std::uint32_t bits(float value) {
  std::uint32_t word;
  std::memcpy(&word, &value, 4);
  return word;
}

/** Multiples of 1/64 between -1 and 1: exact in every format. */
std::vector<float> coarse(std::size_t count, unsigned seed) {
  std::vector<float> values = randomNumbers(count, seed);
  for (float& value : values) value = std::round(value * 64) / 64;
  return values;
}

/** `load` fills a[] and b[] from A (16, k) and B (k, 8), both row-major words of the format, as the PTX ISA spreads
 * them over lanes. */
void product(const char* name, int k, int aWords, int bWords, const char* load,
             const std::function<std::uint32_t(float)>& word, std::size_t wordBytes) {
  Session session;
  const Handle kernel =
      session.load(std::string("extern \"C\" __global__ void kernel_main(const ") +
                   (wordBytes == 2 ? "unsigned short" : "unsigned") + "* A, const " +
                   (wordBytes == 2 ? "unsigned short" : "unsigned") + "* B, float* C) {\n" +
                   "const int lane = threadIdx.x, g = lane / 4, t = lane % 4;\nunsigned a[" + std::to_string(aWords) +
                   "], b[" + std::to_string(bWords) + "];\nfloat c[4];\n" + load +
                   "for (int i = 0; i < 4; i++) c[i] = C[(g + i / 2 * 8) * 8 + t * 2 + i % 2];\n" + name +
                   "(c, a, b, c);\nfor (int i = 0; i < 4; i++) C[(g + i / 2 * 8) * 8 + t * 2 + i % 2] = c[i];\n}");
  const auto depth = static_cast<std::size_t>(k);
  const std::vector<float> a = coarse(16 * depth, 1), b = coarse(depth * 8, 2), c = coarse(16 * 8, 3);
  const auto encoded = [&](const std::vector<float>& values) {
    std::vector<unsigned char> bytes;
    for (const float value : values) {
      const std::uint32_t w = word(value);
      const auto* at = reinterpret_cast<const unsigned char*>(&w);
      bytes.insert(bytes.end(), at, at + wordBytes);
    }
    return bytes;
  };
  const Address as = session.upload(encoded(a)), bs = session.upload(encoded(b)), cs = session.upload(c);
  session.launch(kernel, {}, {32}, Parameters(as, bs, cs));
  const std::vector<float> result = session.download<float>(cs, 16 * 8);
  for (std::size_t row = 0; row < 16; row++) {
    for (std::size_t column = 0; column < 8; column++) {
      double sum = c[row * 8 + column];
      for (std::size_t i = 0; i < depth; i++) sum += static_cast<double>(a[row * depth + i]) * b[i * 8 + column];
      CHECK(std::fabs(sum - result[row * 8 + column]) < 1e-6);
    }
  }
}

const char* const loadHalves16 = R"(
  for (int i = 0; i < 4; i++) { const int at = (g + i % 2 * 8) * 16 + t * 2 + i / 2 * 8; a[i] = A[at] | (unsigned)A[at + 1] << 16; }
  for (int i = 0; i < 2; i++) { const int at = (t * 2 + i * 8) * 8 + g; b[i] = B[at] | (unsigned)B[at + 8] << 16; }
)";

}  // namespace

SCENARIO(f16k16, "mma m16n8k16 f16") { product("tutti_mma_m16n8k16_f16", 16, 4, 2, loadHalves16, half, 2); }
SCENARIO(bf16k16, "mma m16n8k16 bf16") {
  product("tutti_mma_m16n8k16_bf16", 16, 4, 2, loadHalves16, [](float value) { return bits(value) >> 16; }, 2);
}
SCENARIO(f16k8, "mma m16n8k8 f16") {
  product("tutti_mma_m16n8k8_f16", 8, 2, 1, R"(
    for (int i = 0; i < 2; i++) { const int at = (g + i * 8) * 8 + t * 2; a[i] = A[at] | (unsigned)A[at + 1] << 16; }
    { const int at = t * 2 * 8 + g; b[0] = B[at] | (unsigned)B[at + 8] << 16; }
  )",
          half, 2);
}
SCENARIO(tf32k8, "mma m16n8k8 tf32") {
  // Bits below the format's are ignored.
  product("tutti_mma_m16n8k8_tf32", 8, 4, 2, R"(
    for (int i = 0; i < 4; i++) a[i] = A[(g + i % 2 * 8) * 8 + t + i / 2 * 4] | 0x1fffu;
    for (int i = 0; i < 2; i++) b[i] = B[(t + i * 4) * 8 + g] | 0x1000u;
  )",
          bits, 4);
}

SCENARIO(loadMatrix, "ldmatrix") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void kernel_main(unsigned* out) {
      __shared__ __align__(16) unsigned short rows[4][8][8];
      const int lane = threadIdx.x;
      for (int i = lane; i < 256; i += 32) (&rows[0][0][0])[i] = i;
      __syncthreads();
      unsigned r[10];
      tutti_ldmatrix_x4(r, rows[lane / 8][lane % 8]);
      tutti_ldmatrix_x4_trans(r + 4, rows[lane / 8][lane % 8]);
      tutti_ldmatrix_x2(r + 8, rows[lane / 8 % 2][lane % 8]);
      for (int i = 0; i < 10; i++) out[lane * 10 + i] = r[i];
    })");
  const Address out = session.allocate(320 * 4);
  session.launch(kernel, {}, {32}, Parameters(out));
  const std::vector<unsigned> result = session.download<unsigned>(out, 320);
  const auto element = [](unsigned m, unsigned row, unsigned column) { return m * 64 + row * 8 + column; };
  for (unsigned lane = 0; lane < 32; lane++) {
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned i = 0; i < 10; i++) {
      const unsigned m = i < 8 ? i % 4 : i - 8;
      const bool transposed = i >= 4 && i < 8;
      const unsigned low = transposed ? element(m, 2 * t, g) : element(m, g, 2 * t),
                     high = transposed ? element(m, 2 * t + 1, g) : element(m, g, 2 * t + 1);
      CHECK(result[lane * 10 + i] == (low | high << 16));
    }
  }
}

/** A pipeline of two stages, with its wait or without. */
static bool copiesAsync(bool waits) {
  Session session;
  const Handle kernel = session.load(std::string(R"(
    extern "C" __global__ void kernel_main(const float* x, float* y, int n) {
      __shared__ __align__(16) float stage[2][128];
      const int t = threadIdx.x;
      tutti_cp_async_16(&stage[0][4 * t], x + 4 * t, 16);
      tutti_cp_async_commit();
      for (int i = 0; i < n; i++) {
        // The last four elements of a row are not there: zeros.
        if (i + 1 < n) tutti_cp_async_16(&stage[(i + 1) % 2][4 * t], x + (i + 1) * 128 + 4 * t, t == 31 ? 0 : 16);
        tutti_cp_async_commit();
  )") + (waits ? "tutti_cp_async_wait_group<1>();" : "") +
                                     R"(
        __syncthreads();
        y[i * 128 + t] = stage[i % 2][127 - t];
        y[i * 128 + 64 + t] = stage[i % 2][63 - t];
        y[i * 128 + 32 + t] = stage[i % 2][95 - t];
        y[i * 128 + 96 + t] = stage[i % 2][31 - t];
        __syncthreads();
      }
    })");
  const std::vector<float> x = randomNumbers(128 * 5);
  const Address xs = session.upload(x), ys = session.allocate(128 * 5 * 4);
  session.launch(kernel, {}, {32}, Parameters(xs, ys, 5));
  const std::vector<float> y = session.download<float>(ys, 128 * 5);
  for (std::size_t i = 0; i < 5; i++) {
    for (std::size_t k = 0; k < 128; k++) {
      const float expected = i > 0 && 127 - k >= 124 ? 0.0f : x[i * 128 + 127 - k];
      if (!(y[i * 128 + k] == expected)) return false;
    }
  }
  return true;
}

SCENARIO(asyncCopies, "cp.async") { CHECK(copiesAsync(true)); }
SCENARIO(asyncWithoutWait, "cp.async without a wait") { CHECK(!copiesAsync(false)); }

SCENARIO(conversions, "conversions of 16-bit floats") {
  Session session;
  const Handle kernel = session.load(R"(
    extern "C" __global__ void kernel_main(float* wide, unsigned short* back, const float* x, unsigned short* narrow, unsigned short* software, unsigned short* brain, unsigned n) {
      const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
      if (i < 65536) {
        wide[i] = tutti_f16_to_f32((unsigned short)i);
        back[i] = tutti_f32_to_f16(tutti_self->runtime->fromHalf((unsigned short)i));
      }
      if (i >= n) return;
      narrow[i] = tutti_f32_to_f16(x[i]);
      software[i] = tutti_self->runtime->toHalf(x[i]);
      brain[i] = tutti_f32_to_bf16(x[i]);
    })");
  // Every exponent, with fractions around the ties.
  std::vector<float> x;
  for (unsigned exponent = 0; exponent < 256; exponent++) {
    for (unsigned high = 0; high < 1024; high += 31) {
      for (const unsigned low : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0x1fffu}) {
        for (const unsigned sign : {0u, 0x80000000u}) {
          const std::uint32_t word = sign | exponent << 23 | high << 13 | low;
          float value;
          std::memcpy(&value, &word, 4);
          x.push_back(value);
        }
      }
    }
  }
  const auto n = static_cast<unsigned>(x.size());
  const Address wide = session.allocate(65536 * 4), back = session.allocate(65536 * 2), xs = session.upload(x);
  const Address narrow = session.allocate(n * 2), software = session.allocate(n * 2), brain = session.allocate(n * 2);
  session.launch(kernel, {(n + 255) / 256}, {256}, Parameters(wide, back, xs, narrow, software, brain, n));
  const std::vector<float> wideValues = session.download<float>(wide, 65536);
  const auto backValues = session.download<std::uint16_t>(back, 65536);
  // The value of a half, by its definition.
  const auto valueOf = [](unsigned h) {
    const unsigned exponent = h >> 10 & 31, fraction = h & 1023;
    const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                             : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                              : std::ldexp(1024.0 + fraction, static_cast<int>(exponent) - 25);
    return h & 0x8000 ? -magnitude : magnitude;
  };
  for (unsigned h = 0; h < 65536; h++) {
    const double value = valueOf(h);
    if (std::isnan(value)) {
      CHECK(std::isnan(wideValues[h]) && backValues[h] == 0x7fff);
    } else {
      CHECK(wideValues[h] == value && backValues[h] == h);
    }
  }
  const auto narrowValues = session.download<std::uint16_t>(narrow, n),
             softwareValues = session.download<std::uint16_t>(software, n);
  const auto brainValues = session.download<std::uint16_t>(brain, n);
  for (unsigned i = 0; i < n; i++) {
    const float value = x[i];
    CHECK(narrowValues[i] == softwareValues[i]);
    if (std::isnan(value)) {
      CHECK(std::isnan(valueOf(narrowValues[i])) && (brainValues[i] & 0x7fff) > 0x7f80);
      continue;
    }
    // The nearest of the neighbours, of two equally near the even one; 65520 and above is infinite.
    const unsigned h = narrowValues[i];
    CHECK((h >> 15) == (bits(value) >> 31));
    const double magnitude = std::fabs(static_cast<double>(value)), got = std::fabs(valueOf(h));
    if (magnitude >= 65520) {
      CHECK(std::isinf(got));
    } else {
      const double below = (h & 0x7fff) == 0 ? 0 : valueOf((h & 0x7fff) - 1), above = valueOf((h & 0x7fff) + 1);
      const double error = std::fabs(got - magnitude);
      const double toAbove = std::isinf(above) ? 65536 - magnitude : std::fabs(above - magnitude),
                   toBelow = (h & 0x7fff) == 0 ? 1 : std::fabs(below - magnitude);
      CHECK(error <= toAbove && error <= toBelow);
      if (error == toAbove || error == toBelow) CHECK(error == 0 || (h & 1) == 0);
    }
    const std::uint32_t word = bits(value), rest = word & 0xffff, cut = word >> 16;
    CHECK(brainValues[i] == (rest > 0x8000 || (rest == 0x8000 && (cut & 1)) ? cut + 1 : cut));
  }
}

/**
 * Assembles generated text with nvcc, where there is one: a check of the text for architectures that are not at hand, and what it needs of
 * their registers.
 *
 *     node packages/cuda/scripts/assemble.mjs [sm_90 ...]    prints registers, spills and shared memory of typical kernels
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const architectures = ['sm_75', 'sm_80', 'sm_86', 'sm_89', 'sm_90'];

/** Whether nvcc is there. */
export const hasNvcc = () => spawnSync('nvcc', ['--version']).status === 0;

/**
 * One run of nvcc for all units. A unit's text has one kernel `kernel_main`.
 *
 * @param {readonly { readonly name: string, readonly code: string }[]} units
 * @param {string} architecture
 * @returns {Promise<{ name: string, registers: number, spills: number, stack: number, shared: number }[]>} Bytes; in the order of the units.
 * @throws {Error} with nvcc's messages.
 */
export async function assemble(units, architecture) {
  const folder = await mkdtemp(join(tmpdir(), 'tutti-nvcc-'));
  try {
    const file = join(folder, 'units.cu');
    // Names of the prelude would clash, and those of kernels have no namespace.
    const text = units.map(
      ({ code }, i) => `namespace unit_${i} {\n${code.replaceAll('kernel_main', `kernel_${i}`)}\n}\n`,
    );
    await writeFile(file, text.join('\n'));
    const log = await nvcc(folder, file, architecture);
    return units.map(({ name }, i) => ({ name, ...resourcesOf(log, `kernel_${i}`) }));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function nvcc(folder, file, architecture) {
  const flags = ['-x', 'cu', '--cubin', `-arch=${architecture}`, '-std=c++17', '-fmad=false'];
  const quiet = ['-diag-suppress', '177,186,550', '-Xptxas', '-v'];
  return new Promise((resolve, reject) => {
    const child = spawn('nvcc', [...flags, ...quiet, '-o', join(folder, 'units.cubin'), file]);
    let log = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (log += data));
    child.on('error', reject);
    child.on('close', (status) => (status === 0 ? resolve(log) : reject(new Error(log))));
  });
}

function resourcesOf(log, entry) {
  const start = log.indexOf(`'${entry}' for`);
  const part = log.slice(start).split('Compiling entry function', 1)[0];
  const find = (pattern) => Number(pattern.exec(part)?.[1] ?? 0);
  if (start < 0) throw new Error(`ptxas says nothing of ${entry}:\n${log}`);
  return {
    registers: find(/Used (\d+) registers/),
    spills: find(/(\d+) bytes spill stores/) + find(/(\d+) bytes spill loads/),
    stack: find(/(\d+) bytes stack frame/),
    shared: find(/(\d+) bytes smem/),
  };
}

/** Kernels such as networks are made of, for a GPU of 132 multiprocessors. */
async function typicalUnits() {
  const { compileKernel } = await import('../dist/kernels/index.js');
  const { elementwiseKernel, KernelBuilder, softmaxKernel } = await import('@tutti/core/testing');
  const features = {
    computeCapability: 90,
    multiprocessors: 132,
    maxThreadsPerBlock: 1024,
    maxSharedBytes: 227 * 1024,
    tf32: false,
    deterministic: true,
    emulated: false,
  };
  const unary = (alu, dtype) =>
    elementwiseKernel(alu, 1 << 26, [dtype], dtype, (b, x) => b.alu(alu, 'f32', x));
  const sum = (dtype) =>
    elementwiseKernel('add', 1 << 26, [dtype, dtype], dtype, (b, x, y) => b.alu('add', 'f32', x, y));
  const kernels = {
    'add float32': sum('float32'),
    'add bfloat16': sum('bfloat16'),
    'exp float32': unary('exp', 'float32'),
    'tanh bfloat16': unary('tanh', 'bfloat16'),
    'erf float32': unary('erf', 'float32'),
    'sin float32': unary('sin', 'float32'),
    'softmax 65536 x 64': softmaxKernel(65536, 64),
    'softmax 8192 x 1024': softmaxKernel(8192, 1024),
    'softmax 512 x 16384': softmaxKernel(512, 16384),
    'softmax 8192 x 50257': softmaxKernel(8192, 50257),
    'sums of 8192 rows of 768': sums(KernelBuilder, 8192, 768, 'rows'),
    'sums of 768 columns of 8192': sums(KernelBuilder, 768, 8192, 'columns'),
    'sum of 2^26': sums(KernelBuilder, 1, 1 << 26, 'rows'),
  };
  return Object.entries(kernels).flatMap(([name, kernel]) =>
    compileKernel(kernel, features).stages.map(({ code }, i) => ({
      name: i > 0 ? `${name} (${i + 1})` : name,
      code,
    })),
  );
}

/** `out[i] = sum over k of x`, along rows or columns of a matrix. */
function sums(KernelBuilder, points, length, along) {
  const [i, k] = [
    { name: 'i', extent: points },
    { name: 'k', extent: length },
  ];
  const make = new KernelBuilder('sum', [i], 'float32');
  const x = make.input('float32', points * length)(make.at(along === 'rows' ? [i, k] : [k, i]));
  return make.store(make.over(k).accumulate('sum', x));
}

async function main() {
  if (!hasNvcc()) {
    console.log('nvcc is not here: install the CUDA toolkit to assemble kernels');
    return;
  }
  const units = await typicalUnits();
  const chosen = process.argv.slice(2);
  for (const architecture of chosen.length > 0 ? chosen : architectures) {
    console.log(architecture);
    console.table(
      Object.fromEntries((await assemble(units, architecture)).map(({ name, ...rest }) => [name, rest])),
    );
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();

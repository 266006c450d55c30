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
import { featuresOf } from './features.mjs';
import { typicalKernels } from './typical.mjs';

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

/** The stages of typical kernels, planned for a GPU of 132 multiprocessors. */
export function typicalUnits(compileKernel) {
  return Object.entries(typicalKernels).flatMap(([name, kernel]) =>
    compileKernel(kernel, featuresOf('sm_90')).stages.map(({ code }, i) => ({
      name: i > 0 ? `${name} (${i + 1})` : name,
      code,
    })),
  );
}

async function main() {
  if (!hasNvcc()) {
    console.log('nvcc is not here: install the CUDA toolkit to assemble kernels');
    return;
  }
  const { compileKernel } = await import('../dist/kernels/index.js');
  const units = typicalUnits(compileKernel);
  const chosen = process.argv.slice(2);
  for (const architecture of chosen.length > 0 ? chosen : architectures) {
    console.log(architecture);
    console.table(
      Object.fromEntries((await assemble(units, architecture)).map(({ name, ...rest }) => [name, rest])),
    );
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();

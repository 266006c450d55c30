/** Processes of their own: faults of the driver are told to the emulator by the environment. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type EmulatorSettings, emulatorEnvironment } from '@tutti/cuda-emulator';
import { emulation } from './device.ts';

const built = join(import.meta.dirname, '..', '..', 'dist', 'index.js');

const prelude = `
import { createCudaBackend, cuda } from ${JSON.stringify(built)};
const emulated = createCudaBackend(${JSON.stringify(emulation)});
/** a[i] = a[i] * 3 + 1, so many times. */
const burn = (n, turns = 1, name = 'burn') => {
  const code = \`extern "C" __global__ void entry(int* a) {
  int i = blockIdx.x * 64 + threadIdx.x;
  int x = a[i];
  for (int turn = 0; turn < \${turns}; turn++) x = x * 3 + 1;
  a[i] = x;
}\`;
  const parameters = [{ kind: 'buffer', index: 0 }];
  const stage = { kind: 'kernel', code, entry: 'entry', parameters, grid: [n / 64, 1, 1], block: [64, 1, 1], sharedBytes: 0 };
  return { name, scalarTypes: [], workspaceBytes: 0, source: () => code, stages: [stage] };
};
const dispatch = (program, ...buffers) => ({ kind: 'dispatch', program, buffers, scalars: [] });
const start = async (backend, n = 64, turns = 1) => {
  const program = backend.load(burn(n, turns));
  await program.ready;
  const buffer = backend.allocate(n * 4);
  backend.write(buffer, new Uint8Array(n * 4));
  return { program, buffer, fence: backend.submit([dispatch(program, buffer)]) };
};
const ints = (bytes) => new Int32Array(bytes.slice().buffer);
const told = (error) => console.log(error.code + ': ' + error.message.split('\\n')[0]);
`;

export interface Result {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs a script behind the prelude. */
export function child(
  script: string,
  settings: EmulatorSettings = {},
  environment: Record<string, string> = {},
  flags: readonly string[] = [],
): Promise<Result> {
  const env = { ...process.env, ...emulatorEnvironment(settings), ...environment };
  const process_ = spawn(process.execPath, [...flags, '--input-type=module', '--eval', prelude + script], {
    env,
  });
  let [output, errors] = ['', ''];
  process_.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  process_.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((resolve) => {
    process_.once('close', (code) => resolve({ code, output: output.trim(), errors: errors.trim() }));
  });
}

import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { cudaEmulator, type EmulatorSettings, emulatorEnvironment } from '../src/index.ts';

const folder = join(import.meta.dirname, '..', 'build');
const sources = join(import.meta.dirname, 'program');

/** Why the emulator cannot be tested on this machine; undefined where it can. */
export function reasonToSkip(): string | undefined {
  const emulator = cudaEmulator();
  if ('missing' in emulator) return emulator.missing;
  return spawnSync('g++', ['--version']).status === 0 ? undefined : 'there is no g++';
}

/** What a process is started with to have AddressSanitizer; undefined where g++ comes without it. */
export function sanitizerVariables(): Record<string, string> | undefined {
  const library = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim();
  return library && isAbsolute(library) ? { LD_PRELOAD: library, ASAN_OPTIONS: 'detect_leaks=0' } : undefined;
}

/** Builds the program of scenarios, if its sources changed. Its path. */
export async function buildProgram(): Promise<string> {
  const names = readdirSync(sources).sort();
  const sum = createHash('sha256');
  for (const name of names) sum.update(name).update(readFileSync(join(sources, name)));
  const target = join(folder, 'test', `scenarios-${sum.digest('hex').slice(0, 16)}`);
  if (existsSync(target)) return target;
  mkdirSync(join(folder, 'test'), { recursive: true });
  const temporary = `${target}.${process.pid}`;
  const compiled = names
    .filter((name) => name.endsWith('.cc'))
    .map((name) => ({ name, object: `${temporary}.${name}.o` }));
  const compile = promisify(execFile);
  await Promise.all(
    compiled.map(({ name, object }) =>
      compile('g++', ['-std=c++17', '-O0', '-c', join(sources, name), '-o', object]),
    ),
  );
  execFileSync('g++', [...compiled.map(({ object }) => object), '-o', temporary, '-ldl', '-pthread']);
  renameSync(temporary, target);
  return target;
}

export interface Outcome {
  /** The last line of output, `passed` where all is well. */
  readonly result: string;
  readonly messages: string;
}

/** Runs a scenario in a process of its own. */
export async function scenario(
  name: string,
  settings: EmulatorSettings = {},
  variables: Record<string, string> = {},
): Promise<Outcome> {
  const program = await buildProgram();
  const environment = { ...process.env, EMULATOR: folder, ...emulatorEnvironment(settings), ...variables };
  const run = promisify(execFile);
  const ended = await run(program, [name], { env: environment, timeout: 60_000 }).catch(
    (error: { stdout: string; stderr: string; code?: number; signal?: string }) => ({
      stdout: `${error.stdout}\nended with ${error.signal ?? error.code}`,
      stderr: error.stderr,
    }),
  );
  return { result: ended.stdout.trim(), messages: ended.stderr };
}

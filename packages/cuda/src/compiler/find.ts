/** Finds NVRTC, the library that compiles kernels. */
import { existsSync } from 'node:fs';
import type { Compiler } from '../native/binding.ts';
import { type Absent, messageOf, type Surroundings } from '../runtime/host.ts';
import { type LibraryNames, placesOf } from './places.ts';

/** Releases of CUDA whose NVRTC the loader is asked for, the newest first. */
const majors = [13, 12];

export const nvrtcNames = (platform: string): LibraryNames =>
  platform === 'win32'
    ? { file: /^nvrtc64_(\d+)_\d+\.dll$/, loader: majors.map((major) => `nvrtc64_${major}0_0.dll`) }
    : { file: /^libnvrtc\.so(?:\.(\d+))?(?:\.\d+)*$/, loader: majors.map((major) => `libnvrtc.so.${major}`) };

export interface FoundCompiler {
  readonly compiler: Compiler;
  readonly path: string;
}

export interface CompilerSearch {
  /** Loads a library. @throws where it is none. */
  readonly open: (path: string) => Compiler;
  /** Why a compiler is of no use here; undefined where it is. */
  readonly objection: (compiler: Compiler) => string | undefined;
  /** The only place to look at, and who named it. */
  readonly named?: { readonly path: string; readonly by: string } | undefined;
  /** What to install: "pip install ...". */
  readonly remedy: string;
}

/** The first NVRTC, in the order of {@link placesOf}, that is of use. */
export function findCompiler(
  { open, objection, named, remedy }: CompilerSearch,
  surroundings: Surroundings,
): FoundCompiler | Absent {
  if (named) return openNamed(named, open, objection, remedy);
  const looked: string[] = [];
  const useless: string[] = [];
  for (const { where, libraries } of placesOf(nvrtcNames(surroundings.platform), surroundings)) {
    looked.push(where);
    for (const path of libraries) {
      const compiler = attempt(() => open(path));
      if (compiler instanceof Error) {
        if (!isMissing(compiler, path)) useless.push(`${path} does not load: ${compiler.message}`);
        continue;
      }
      const wrong = objection(compiler);
      if (wrong === undefined) return { compiler, path };
      useless.push(`${path} ${wrong}`);
    }
  }
  return useless.length > 0
    ? { reason: `no NVRTC that can be used was found: ${useless.join('; ')}`, fix: remedy }
    : {
        reason: 'NVRTC, which compiles kernels, was not found',
        fix: `${remedy}, or name the library in TUTTI_CUDA_NVRTC; looked at: ${looked.join(', ')}`,
      };
}

function openNamed(
  { path, by }: NonNullable<CompilerSearch['named']>,
  open: CompilerSearch['open'],
  objection: CompilerSearch['objection'],
  remedy: string,
): FoundCompiler | Absent {
  const compiler = attempt(() => open(path));
  const wrong =
    compiler instanceof Error
      ? isMissing(compiler, path)
        ? 'was not found'
        : `does not load: ${compiler.message}`
      : objection(compiler);
  if (wrong === undefined) return { compiler: compiler as Compiler, path };
  return {
    reason: `the NVRTC that ${by} names, ${path}, ${wrong}`,
    fix: `name another, or none so that it is looked for; ${remedy}`,
  };
}

function attempt(open: () => Compiler): Compiler | Error {
  try {
    return open();
  } catch (error) {
    return error instanceof Error ? error : new TypeError(messageOf(error), { cause: error });
  }
}

/** The loader says the same of a library that is not there and of one that lacks another. */
const isMissing = (error: Error, path: string): boolean =>
  (error as { code?: unknown }).code === 'LIBRARY_NOT_FOUND' && !existsSync(path);

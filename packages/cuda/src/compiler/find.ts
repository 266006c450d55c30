/** Finds NVRTC, the library that compiles kernels, and cuBLASLt, that of matrix products. */

import { existsSync } from 'node:fs';
import { messageOf } from '@tutti/core/backend';
import type { Blas, Compiler } from '../native/binding.ts';
import { codeOf } from '../runtime/failures.ts';
import type { Absent, Surroundings } from '../runtime/host.ts';
import { type LibraryNames, placesOf } from './places.ts';

/** Releases of CUDA whose libraries the loader is asked for, the newest first. */
const majors = [13, 12];

export const nvrtcNames = (platform: string): LibraryNames =>
  platform === 'win32'
    ? { file: /^nvrtc64_(\d+)_\d+\.dll$/, loader: majors.map((major) => `nvrtc64_${major}0_0.dll`) }
    : { file: /^libnvrtc\.so(?:\.(\d+))?(?:\.\d+)*$/, loader: majors.map((major) => `libnvrtc.so.${major}`) };

export const blasNames = (platform: string): LibraryNames =>
  platform === 'win32'
    ? { file: /^cublasLt64_(\d+)\.dll$/, loader: majors.map((major) => `cublasLt64_${major}.dll`) }
    : {
        file: /^libcublasLt\.so(?:\.(\d+))?(?:\.\d+)*$/,
        loader: majors.map((major) => `libcublasLt.so.${major}`),
      };

export interface Found<Library> {
  readonly library: Library;
  readonly path: string;
}

export interface LibrarySearch<Library> {
  /** Loads a library. @throws where it is none. */
  readonly open: (path: string) => Library;
  /** Why a library is of no use here; undefined where it is. */
  readonly objection: (library: Library) => string | undefined;
  /** The only place to look at, and who named it. */
  readonly named?: { readonly path: string; readonly by: string } | undefined;
  /** What to install: "pip install ...". */
  readonly remedy: string;
}

export type CompilerSearch = LibrarySearch<Compiler>;

/** The first NVRTC, in the order of {@link placesOf}, that is of use. */
export const findCompiler = (search: CompilerSearch, at: Surroundings): Found<Compiler> | Absent =>
  find(nvrtc, search, at);

/** The first cuBLASLt that is of use. */
export const findBlas = (search: LibrarySearch<Blas>, at: Surroundings): Found<Blas> | Absent =>
  find(cublaslt, search, at);

/** How a library is spoken of. */
interface Kind {
  readonly name: string;
  readonly purpose: string;
  readonly variable: string;
  readonly names: (platform: string) => LibraryNames;
}

const nvrtc: Kind = {
  name: 'NVRTC',
  purpose: 'which compiles kernels',
  variable: 'TUTTI_CUDA_NVRTC',
  names: nvrtcNames,
};

const cublaslt: Kind = {
  name: 'cuBLASLt',
  purpose: 'which multiplies matrices',
  variable: 'TUTTI_CUDA_CUBLASLT',
  names: blasNames,
};

function find<Library extends object>(
  kind: Kind,
  { open, objection, named, remedy }: LibrarySearch<Library>,
  surroundings: Surroundings,
): Found<Library> | Absent {
  if (named) return openNamed(kind, named, open, objection, remedy);
  const looked: string[] = [];
  const useless: string[] = [];
  for (const { where, libraries } of placesOf(kind.names(surroundings.platform), surroundings)) {
    looked.push(where);
    for (const path of libraries) {
      const library = attempt(() => open(path));
      if (library instanceof Error) {
        if (!isMissing(library, path)) useless.push(`${path} does not load: ${library.message}`);
        continue;
      }
      const wrong = objection(library);
      if (wrong === undefined) return { library, path };
      useless.push(`${path} ${wrong}`);
    }
  }
  return useless.length > 0
    ? { reason: `no ${kind.name} that can be used was found: ${useless.join('; ')}`, fix: remedy }
    : {
        reason: `${kind.name}, ${kind.purpose}, was not found`,
        fix: `${remedy}, or name the library in ${kind.variable}; looked at: ${looked.join(', ')}`,
      };
}

function openNamed<Library extends object>(
  { name }: Kind,
  { path, by }: { readonly path: string; readonly by: string },
  open: (path: string) => Library,
  objection: (library: Library) => string | undefined,
  remedy: string,
): Found<Library> | Absent {
  const library = attempt(() => open(path));
  const wrong =
    library instanceof Error
      ? isMissing(library, path)
        ? 'was not found'
        : `does not load: ${library.message}`
      : objection(library);
  if (wrong === undefined) return { library: library as Library, path };
  return {
    reason: `the ${name} that ${by} names, ${path}, ${wrong}`,
    fix: `name another, or none so that it is looked for; ${remedy}`,
  };
}

function attempt<Library>(open: () => Library): Library | Error {
  try {
    return open();
  } catch (error) {
    return error instanceof Error ? error : new TypeError(messageOf(error), { cause: error });
  }
}

/** The loader says the same of a library that is not there and of one that lacks another. */
export const isMissing = (error: unknown, path: string): boolean =>
  codeOf(error) === 'LIBRARY_NOT_FOUND' && !existsSync(path);

/** Finds and loads the addon, or says why there is none. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve as resolvePath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '@tutti/core/backend';
import { type Absent, isAbsent, machine, type Surroundings } from '../runtime/host.ts';
import { type Binding, interfaceVersion } from './binding.ts';

const require = createRequire(import.meta.url);

/** What a clone of the repository has built, seen from `dist/native` and from `src/native`. A published package has nothing there. */
const built = fileURLToPath(new URL('../../build/tutti_cuda.node', import.meta.url));

/** The variable that names an addon. */
const variable = 'TUTTI_CUDA_ADDON';

/** What there are packages for. */
const platforms: readonly string[] = ['linux-x64', 'linux-arm64', 'win32-x64'];

const rebuild = `build it in a clone of the repository (\`node packages/cuda/scripts/build-native.mjs\`, with g++ or clang++ installed), and name it in ${variable} elsewhere`;

const renamed = `set ${variable} to the path of a tutti_cuda.node of this version, under a name that ends in .node, or take it away`;

export interface AddonSearch {
  /** Where this runs. Default: this machine. */
  readonly surroundings?: Surroundings;
  /** `process.arch`. */
  readonly processor?: string;
  /** That of a clone. */
  readonly built?: string;
  /** The path of a package's main file. Throws where there is no such package. */
  readonly resolve?: (name: string) => string;
}

/**
 * The addon of this machine: the one that TUTTI_CUDA_ADDON names, else the one that a clone has built, else that of the platform's
 * package. In this order, since in a clone the package may still have the file that was once packed.
 */
export function loadBinding(search: AddonSearch = {}): Binding | Absent {
  const found = findAddon(search);
  if (typeof found !== 'string') return found;
  const binding = load(found);
  const { surroundings = machine() } = search;
  return isAbsent(binding) && surroundings.environment[variable] ? { ...binding, fix: renamed } : binding;
}

/** The path of the addon. */
export function findAddon({
  surroundings = machine(),
  processor = process.arch,
  built: own = built,
  resolve = require.resolve,
}: AddonSearch = {}): string | Absent {
  const named = surroundings.environment[variable];
  if (named) {
    if (existsSync(named)) return resolvePath(named);
    return {
      reason: `the addon that ${variable} names, ${named}, was not found`,
      fix: renamed,
    };
  }
  if (existsSync(own)) return own;
  const platform = `${surroundings.platform}-${processor}`;
  try {
    return resolve(`@tutti/cuda-${platform}`);
  } catch {
    // Not installed: an optional dependency, and without its file in a clone.
  }
  if (!platforms.includes(platform)) {
    return {
      reason: `there is no addon of @tutti/cuda for ${platform}`,
      fix: `use another backend here; there are addons for ${platforms.join(', ')}`,
    };
  }
  return {
    reason: `the addon of @tutti/cuda is neither installed (@tutti/cuda-${platform}) nor built`,
    fix: `install @tutti/cuda with its optional dependencies, or ${rebuild}`,
  };
}

function load(path: string): Binding | Absent {
  let binding: Binding;
  try {
    binding = require(path) as Binding;
  } catch (error) {
    // The loader's own words: a library that is missing, a C library that is too old, another processor.
    return {
      reason: `the addon of @tutti/cuda, ${path}, does not load: ${firstLine(messageOf(error))}`,
      fix: rebuild,
    };
  }
  if (binding.interfaceVersion === interfaceVersion) return binding;
  return {
    reason: `the addon ${path} has version ${binding.interfaceVersion} of its interface, and this package needs ${interfaceVersion}`,
    fix: `install packages of one version, or ${rebuild}`,
  };
}

const firstLine = (text: string): string => text.split('\n', 1)[0]!;

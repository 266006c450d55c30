/** Where a library of the CUDA toolkit may lie: the toolkit puts it into one folder, Python's packages into others. */
import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Surroundings } from '../runtime/host.ts';

/** How a library is called. */
export interface LibraryNames {
  /** Of its files, with the major version as the first group, if the name has one. */
  readonly file: RegExp;
  /** What the system's loader is asked for, the newest first. */
  readonly loader: readonly string[];
}

/** A place that was looked at, and what is there. */
export interface Place {
  /** For people. */
  readonly where: string;
  /** Paths, or names for the loader; the newest first. */
  readonly libraries: readonly string[];
}

/** The places in which a library is looked for, in order. Looks into folders only as it goes along. */
export function* placesOf(names: LibraryNames, surroundings: Surroundings): Generator<Place> {
  const seen = new Set<string>();
  for (const { where, folders } of foldersOf(surroundings)) {
    const libraries = folders.flatMap((folder) => librariesIn(folder, names, seen));
    yield { where, libraries };
  }
  yield { where: `the system's loader (${names.loader.join(', ')})`, libraries: names.loader };
}

interface Folders {
  readonly where: string;
  readonly folders: readonly string[];
}

function* foldersOf(surroundings: Surroundings): Generator<Folders> {
  const { platform, environment, root } = surroundings;
  const windows = platform === 'win32';
  for (const name of ['CUDA_HOME', 'CUDA_PATH']) {
    const home = environment[name];
    if (home) yield { where: `${home} (${name})`, folders: toolkitFolders(home, windows) };
  }
  for (const { where, folders } of pythonFolders(surroundings)) {
    yield { where, folders: folders.flatMap((packages) => nvidiaFolders(packages, windows)) };
  }
  const toolkits = windows
    ? join(environment['ProgramFiles'] ?? 'C:\\Program Files', 'NVIDIA GPU Computing Toolkit', 'CUDA')
    : `${root}/usr/local`;
  const pattern = windows ? /^v\d/ : /^cuda(-|$)/;
  const found = entries(toolkits).filter((name) => pattern.test(name));
  yield {
    where: join(toolkits, windows ? 'v*' : 'cuda*'),
    folders: newestFirst(found).flatMap((name) => toolkitFolders(join(toolkits, name), windows)),
  };
}

function toolkitFolders(home: string, windows: boolean): string[] {
  const names = windows ? ['bin', 'bin/x64', 'lib'] : ['lib64', 'lib', 'targets/x86_64-linux/lib'];
  return names.map((name) => join(home, name));
}

/** Folders in which Python keeps packages. */
function* pythonFolders({ platform, environment, home, root }: Surroundings): Generator<Folders> {
  if (platform === 'win32') {
    const homes = [
      ['VIRTUAL_ENV', environment['VIRTUAL_ENV']],
      ['CONDA_PREFIX', environment['CONDA_PREFIX']],
    ] as const;
    for (const [name, folder] of homes) {
      if (folder) yield { where: `${folder} (${name})`, folders: [join(folder, 'Lib', 'site-packages')] };
    }
    const roaming = environment['APPDATA'];
    if (roaming) {
      const python = join(roaming, 'Python');
      const versions = newestFirst(entries(python).filter((name) => /^Python\d/.test(name)));
      yield { where: python, folders: versions.map((name) => join(python, name, 'site-packages')) };
    }
    return;
  }
  for (const name of ['VIRTUAL_ENV', 'CONDA_PREFIX']) {
    const folder = environment[name];
    if (folder) yield { where: `${folder} (${name})`, folders: [folder, ...versionsIn(folder)] };
  }
  yield { where: join(home, '.local'), folders: versionsIn(join(home, '.local')) };
  yield { where: `${root}/usr/lib/python3`, folders: [`${root}/usr/lib/python3/dist-packages`] };
  yield { where: `${root}/usr/local/lib/python3*`, folders: versionsIn(`${root}/usr/local`) };
}

/** `lib/python3.12/site-packages` of a prefix, for each version of Python. */
function versionsIn(prefix: string): string[] {
  const lib = join(prefix, 'lib');
  const versions = newestFirst(entries(lib).filter((name) => /^python3/.test(name)));
  return versions.flatMap((name) =>
    ['site-packages', 'dist-packages'].map((packages) => join(lib, name, packages)),
  );
}

/** Libraries of NVIDIA's Python packages, and those of Conda, which lie in the prefix itself. */
function nvidiaFolders(packages: string, windows: boolean): string[] {
  const nvidia = join(packages, 'nvidia');
  const inside = newestFirst(entries(nvidia)).flatMap((name) =>
    (windows ? ['bin', 'bin/x86_64'] : ['lib']).map((folder) => join(nvidia, name, folder)),
  );
  return [join(packages, windows ? 'bin' : 'lib'), ...inside];
}

/** Each file once, however many names it has. */
function librariesIn(folder: string, { file }: LibraryNames, seen: Set<string>): string[] {
  return newestFirst(entries(folder).filter((name) => file.test(name)))
    .map((name) => join(folder, name))
    .filter((path) => {
      const real = realPath(path);
      if (real === undefined || seen.has(real)) return false;
      seen.add(real);
      return true;
    });
}

/** By the numbers in their names: `libx.so.13` before `libx.so.12`, and `cuda-12.10` before `cuda-12.9`. */
const newestFirst = (names: readonly string[]): string[] =>
  [...names].sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // it is not there, or not for us
  }
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined; // a link to nothing
  }
}

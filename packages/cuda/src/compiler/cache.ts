/** Compiled kernels on disk, for the next process. */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Surroundings } from '../runtime/host.ts';

/**
 * An entry is this header, 40 bytes, and then the code:
 *
 *     8 bytes   "tutticub"
 *     32 bytes  SHA-256 of the code
 */
const magic = Buffer.from('tutticub');
const headerBytes = 40;
const suffix = '.cubin';

/** What is kept when nobody says otherwise. Kernels are some 10 KiB each. */
const usualBytes = 512 * 1024 * 1024;
/** The folder is looked through when a process first writes to it, and then after so many bytes more. */
const reviewBytes = 32 * 1024 * 1024;
/** An entry that is used counts as new if it is older than this, in milliseconds. */
const refreshAfter = 24 * 3600 * 1000;
/** A file that another process has been writing for so long will not be finished. */
const abandonedAfter = 3600 * 1000;

const digest = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** The name of an entry: what it was made of. */
export const cacheKey = (parts: readonly string[]): string =>
  // With their lengths, so that no two lists give the same text.
  createHash('sha256')
    .update(parts.map((part) => `${part.length}:${part}`).join(''))
    .digest('hex');

/** The folder for a user's caches, where the system has one. */
export function usualFolder({ platform, environment, home }: Surroundings): string {
  const base =
    platform === 'win32'
      ? (environment['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'))
      : environment['XDG_CACHE_HOME'] || join(home, '.cache');
  return join(base, 'tutti', 'cuda');
}

/** Why entries cannot be written to a folder, which is made for that; undefined where they can. */
export async function objectionTo(folder: string): Promise<string | undefined> {
  const path = temporaryIn(folder);
  try {
    // Who may write is a question of permissions, of the kind of file system, and of the room in it: only trying tells.
    await makeFolder(folder);
    await writeFile(path, '');
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EEXIST'
      ? `${folder} is not a folder`
      : `${folder} cannot be written (${code ?? 'unknown error'})`;
  } finally {
    await rm(path, { force: true }).catch(() => {});
  }
}

/**
 * Makes a folder, and those above it. The same option of Node's `mkdir` never ends where there is a folder above, and the file system
 * says ENOENT all the same, as that of /proc does.
 */
async function makeFolder(folder: string, isParentThere = false): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = dirname(folder);
    if (code === 'ENOENT' && !isParentThere && parent !== folder) {
      await makeFolder(parent);
      await makeFolder(folder, true);
      return;
    }
    const there = await stat(folder).catch(() => undefined);
    if (!there?.isDirectory()) throw error;
  }
}

/** A file that nobody else writes. */
const temporaryIn = (folder: string): string => join(folder, `${process.pid}-${randomUUID()}.tmp`);

/**
 * A folder of entries. Several processes may use it at once: an entry appears under its name whole, or not at all. One that is
 * damaged is removed, and counts as missing. Whatever is wrong with the folder, nothing fails: kernels are compiled again.
 */
export class DiskCache {
  readonly folder: string;
  readonly #mostBytes: number;
  #sinceReview = Infinity;
  #unwritable = false;

  constructor(folder: string, mostBytes: number = usualBytes) {
    this.folder = folder;
    this.#mostBytes = mostBytes;
  }

  #pathOf = (key: string): string => join(this.folder, `${key}${suffix}`);

  async get(key: string): Promise<Uint8Array | undefined> {
    const path = this.#pathOf(key);
    const entry = await readEntry(path);
    if (!entry) return undefined;
    const code = codeOf(entry);
    if (!code) await rm(path, { force: true }).catch(() => {});
    return code;
  }

  /** As {@link get}, while the caller waits. What is damaged stays until it is written again. */
  getSync(key: string): Uint8Array | undefined {
    try {
      return codeOf(readFileSync(this.#pathOf(key)));
    } catch {
      return undefined;
    }
  }

  async put(key: string, code: Uint8Array): Promise<void> {
    if (this.#unwritable) return;
    const path = this.#pathOf(key);
    const temporary = temporaryIn(this.folder);
    try {
      await makeFolder(this.folder);
      await writeFile(temporary, Buffer.concat([magic, digest(code), code]));
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      // On Windows a file that another process is reading cannot be replaced; then it is there already.
      this.#unwritable = !['EPERM', 'EBUSY'].includes((error as NodeJS.ErrnoException).code ?? '');
      return;
    }
    this.#sinceReview += code.byteLength + headerBytes;
    if (this.#sinceReview >= reviewBytes) {
      this.#sinceReview = 0;
      await this.#review().catch(() => {});
    }
  }

  /** Removes the entries that have not been used for longest, until a fifth of the room is free, and what was left unfinished. */
  async #review(): Promise<void> {
    const names = await readdir(this.folder);
    const found = await Promise.all(
      names.map(async (name) => {
        const path = join(this.folder, name);
        const info = await stat(path).catch(() => undefined);
        return info?.isFile() ? [{ path, bytes: info.size, usedAt: info.mtimeMs }] : [];
      }),
    );
    const files = found.flat().sort((a, b) => a.usedAt - b.usedAt);
    let sum = files.reduce((total, { bytes }) => total + bytes, 0);
    const enough = sum > this.#mostBytes ? 0.8 * this.#mostBytes : Infinity;
    for (const { path, bytes, usedAt } of files) {
      const abandoned = path.endsWith('.tmp') && Date.now() - usedAt > abandonedAfter;
      if (!abandoned && !(sum > enough && path.endsWith(suffix))) continue;
      await rm(path, { force: true });
      sum -= bytes;
    }
  }
}

/** Undefined where it is damaged. */
function codeOf(entry: Buffer): Buffer | undefined {
  const code = entry.subarray(headerBytes);
  const header = entry.subarray(0, headerBytes);
  return header.equals(Buffer.concat([magic, digest(code)])) ? code : undefined;
}

async function readEntry(path: string): Promise<Buffer | undefined> {
  try {
    const file = await open(path, 'r');
    try {
      const { mtimeMs } = await file.stat();
      const entry = await file.readFile();
      const now = new Date();
      if (now.getTime() - mtimeMs > refreshAfter) await utimes(path, now, now).catch(() => {});
      return entry;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

import { FileError, FormatError, type Tensor, TuttiError } from '@tutti/core';
import { checkOptions } from '@tutti/core/graph';
import { type DecodeOptions, decodeOptions, decodeTensor, tensorTable } from './decode.ts';
import { encodeParts, planHeader, type TensorDict } from './encode.ts';
import { type Header, headerLength, type Metadata, parseHeader, prefixBytes } from './header.ts';

/** The part of Node's `fs/promises` that is used here. */
interface FileHandle {
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  writeFile(bytes: Uint8Array): Promise<void>;
  stat(): Promise<{ size: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}
interface FileSystem {
  open(path: string, flags: string): Promise<FileHandle>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { force: boolean }): Promise<void>;
  stat(path: string): Promise<{ isFile(): boolean }>;
  realpath(path: string): Promise<string>;
}

/**
 * Writes tensors into a safetensors file, in Node. The file is complete or it is not there: the bytes go to a temporary
 * file beside it, which takes its place once it is on the disk. On any error the old file stays and the temporary one goes.
 *
 * @throws FileError when it cannot be written, and in a browser. @throws ArgumentError as `encodeSafetensors` does.
 * @example await saveSafetensors('model.safetensors', model.stateDict(), { epochs: '5' });
 */
export async function saveSafetensors(path: string, dict: TensorDict, metadata?: Metadata): Promise<void> {
  const header = planHeader(dict, metadata);
  const fs = await fileSystem('saveSafetensors', path);
  const target = await targetOf(fs, path);
  const temporary = `${target}.${Math.random().toString(36).slice(2, 10)}.tmp`;
  let handle: FileHandle | undefined;
  try {
    handle = await fs.open(temporary, 'wx');
    for await (const part of encodeParts(dict, header)) await handle.writeFile(part);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await fs.rename(temporary, target);
  } catch (error) {
    await handle?.close().catch(() => undefined);
    await fs.rm(temporary, { force: true }).catch(() => undefined);
    throw asFileError(error, 'saveSafetensors', 'write', path);
  }
}

/** The file that `path` names, through any links. Refuses what a rename would destroy: a folder, a device. */
async function targetOf(fs: FileSystem, path: string): Promise<string> {
  const target = await fs.realpath(path).catch(() => path);
  const existing = await fs.stat(target).catch(() => undefined);
  if (!existing || existing.isFile()) return target;
  throw new FileError(`saveSafetensors: ${path} exists and is not a file`, {
    op: 'saveSafetensors',
    received: path,
    fix: 'give the name of a file, such as model.safetensors',
  });
}

/**
 * The tensors in a safetensors file, in Node.
 *
 * @throws FileError when it cannot be read, and in a browser. @throws FormatError as `decodeSafetensors` does.
 * @example model.loadStateDict(await loadSafetensors('model.safetensors'));
 */
export async function loadSafetensors(
  path: string,
  options: DecodeOptions = {},
): Promise<Record<string, Tensor>> {
  checkOptions('loadSafetensors', options, decodeOptions);
  const source = options.source ?? path;
  return withHeader('loadSafetensors', path, source, async ({ entries }, read, dataStart) => {
    const tensors: [string, Tensor][] = [];
    for (const entry of entries) {
      const bytes = await read(dataStart + entry.begin, entry.end - entry.begin);
      tensors.push([entry.name, decodeTensor(entry, bytes, source, options)]);
    }
    return tensorTable(tensors);
  });
}

/** The texts in the header of a safetensors file, in Node. @throws as `loadSafetensors` does. */
export async function loadSafetensorsMetadata(path: string): Promise<Metadata> {
  return withHeader('loadSafetensorsMetadata', path, path, async ({ metadata }) => metadata);
}

type Read = (position: number, length: number) => Promise<Uint8Array>;

async function withHeader<T>(
  op: string,
  path: string,
  source: string,
  use: (header: Header, read: Read, dataStart: number) => Promise<T>,
): Promise<T> {
  const fs = await fileSystem(op, path);
  let handle: FileHandle | undefined;
  try {
    handle = await fs.open(path, 'r');
    const { size } = await handle.stat();
    const read = reader(handle, source);
    const length = headerLength(await read(0, Math.min(size, prefixBytes)), size, source);
    const dataStart = prefixBytes + length;
    const header = parseHeader(await read(prefixBytes, length), size - dataStart, source);
    return await use(header, read, dataStart);
  } catch (error) {
    throw asFileError(error, op, 'read', path);
  } finally {
    await handle?.close().catch(() => undefined);
  }
}

function reader(handle: FileHandle, source: string): Read {
  return async (position, length) => {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
      if (bytesRead === 0) {
        throw new FormatError(`${source}: the file ends at byte ${position + done}`, {
          op: 'loadSafetensors',
          fix: 'it became shorter while it was read; read it again',
        });
      }
      done += bytesRead;
    }
    return bytes;
  };
}

async function fileSystem(op: string, path: string): Promise<FileSystem> {
  const { process } = globalThis as { process?: { versions?: { node?: string } } };
  if (process?.versions?.node === undefined) {
    throw new FileError(`${op}: no files in a browser (${path})`, {
      op,
      received: path,
      fix: 'use encodeSafetensors and decodeSafetensors, which take and give bytes',
    });
  }
  // In a variable and marked, so that no bundler tries to put it into a page.
  const specifier = 'node:fs/promises';
  return import(/* @vite-ignore */ /* webpackIgnore: true */ specifier);
}

const fixes: Readonly<Record<string, string>> = {
  ENOENT: 'check the path; its folder must exist',
  EACCES: 'check the permissions of the file and its folder',
  EPERM: 'check the permissions of the file and its folder',
  EROFS: 'the disk cannot be written; choose another folder',
  EISDIR: 'this is a folder; give the name of a file',
  ENOTDIR: 'a part of the path is a file, not a folder',
  ENOSPC: 'the disk is full; free some space or choose another folder',
};

function asFileError(cause: unknown, op: string, verb: string, path: string): unknown {
  if (TuttiError.isInstance(cause)) return cause;
  const { code, message } = cause as { code?: string; message?: string };
  const fix = fixes[code ?? ''];
  return new FileError(`${op}: cannot ${verb} ${path}: ${message}`, { op, received: path, fix, cause });
}

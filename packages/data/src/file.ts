import { FileError } from '@tutti/core';

/** The part of Node's `fs/promises` that is used here. */
interface FileSystem {
  readFile(path: string): Promise<Uint8Array>;
}

/**
 * The bytes of a file, in Node.
 *
 * @throws FileError when it cannot be read, and in a browser.
 */
export async function readFile(path: string): Promise<Uint8Array> {
  const process = (globalThis as { process?: { versions?: { node?: string } } }).process;
  if (process?.versions?.node === undefined) {
    throw new FileError(`readFile: no files in a browser (${path})`, {
      op: 'readFile',
      received: path,
      fix: 'fetch the bytes: new Uint8Array(await (await fetch(url)).arrayBuffer())',
    });
  }
  try {
    // In a variable and marked, so that no bundler tries to put it into a page.
    const specifier = 'node:fs/promises';
    const fs: FileSystem = await import(/* @vite-ignore */ /* webpackIgnore: true */ specifier);
    return await fs.readFile(path);
  } catch (cause) {
    throw new FileError(`readFile: cannot read ${path}: ${(cause as Error).message}`, {
      op: 'readFile',
      received: path,
      fix: 'check that the path exists and may be read',
      cause,
    });
  }
}

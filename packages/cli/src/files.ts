/** Files that a command writes: checked before the work starts, and complete or not there at all. */
import { randomUUID } from 'node:crypto';
import { access, constants, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FileError } from 'tutti';

/**
 * Makes sure that a file can be written later.
 *
 * @throws FileError when its folder is missing or cannot be written, or when the path is that of a folder.
 */
export async function checkWritable(path: string, flag: string): Promise<void> {
  const folder = dirname(resolve(path));
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory()) {
    throw fileError(`${flag} ${path}: this is a folder`, path, 'give the name of a file in it');
  }
  const parent = await stat(folder).catch(() => undefined);
  if (!parent?.isDirectory()) {
    throw fileError(`${flag} ${path}: there is no folder ${folder}`, path, 'make the folder first');
  }
  try {
    await access(folder, constants.W_OK);
    if (existing) await access(path, constants.W_OK);
  } catch (cause) {
    const fix = 'change its permissions, or choose another place';
    throw fileError(`${flag} ${path}: it may not be written`, path, fix, cause);
  }
}

/** Makes sure that a file can be read. @throws FileError */
export async function checkReadable(path: string, flag: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
  } catch (cause) {
    const fix = 'check the path and its permissions';
    throw fileError(`${flag} ${path}: there is no such file, or it may not be read`, path, fix, cause);
  }
}

/** Writes a file that is complete or keeps its old content. @throws FileError */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    const message = `cannot write ${path}: ${(cause as Error).message}`;
    throw fileError(message, path, 'check the folder, its permissions and the free space', cause);
  }
}

const fileError = (message: string, path: string, fix: string, cause?: unknown): FileError =>
  new FileError(message, { received: path, fix, cause });

/** Archives of the package `@sparticuz/chromium`, unpacked once for all processes and all times. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflate } from '@sparticuz/chromium';

const cache = join(import.meta.dirname, '..', 'node_modules', '.cache');
const entry = fileURLToPath(import.meta.resolve('@sparticuz/chromium'));

/** Whether the archives are for this machine. */
export const hasArchives: boolean = process.platform === 'linux' && process.arch === 'x64';

let last: Promise<unknown> = Promise.resolve();

/** Gives the folder of the unpacked archives. One call at a time: the package unpacks to where `TMPDIR` points. */
export function unpack(name: string, archives: readonly string[]): Promise<string> {
  const result = last.then(() => unpackNow(name, archives));
  last = result.catch(() => {});
  return result;
}

async function unpackNow(name: string, archives: readonly string[]): Promise<string> {
  const { version } = createRequire(entry)('../package.json') as { version: string };
  const folder = join(cache, `${name}-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(`${folder}-`);
  const before = process.env['TMPDIR'];
  try {
    process.env['TMPDIR'] = fresh;
    for (const archive of archives) await inflate(join(dirname(entry), '..', 'bin', archive));
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  }
  try {
    renameSync(fresh, folder);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(folder)) throw error; // otherwise another process was faster
  }
  return folder;
}

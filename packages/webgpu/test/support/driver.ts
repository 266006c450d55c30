/**
 * A Vulkan driver for tests. Where the machine has one of its own it is used; elsewhere SwiftShader, which computes on the
 * processor and comes inside an npm package.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflate } from '@sparticuz/chromium';

const cache = join(import.meta.dirname, '../../node_modules/.cache');
const manifests = ['/etc/vulkan/icd.d', '/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];

/** Mesa's software driver lacks what Dawn needs. */
function hasOwnDriver(): boolean {
  if (process.platform !== 'linux' || process.env['VK_ICD_FILENAMES']) return true;
  const found = manifests.filter((folder) => existsSync(folder)).flatMap((folder) => readdirSync(folder));
  return found.some((name) => name.endsWith('.json') && !/^lvp_/.test(name));
}

/** Unpacks SwiftShader once for all processes and all times, and gives its folder. */
async function unpack(): Promise<string> {
  const entry = fileURLToPath(import.meta.resolve('@sparticuz/chromium'));
  const { version } = createRequire(entry)('../package.json') as { version: string };
  const folder = join(cache, `swiftshader-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(`${folder}-`);
  const before = process.env['TMPDIR'];
  try {
    process.env['TMPDIR'] = fresh; // where the package unpacks to
    await inflate(join(dirname(entry), '../bin/swiftshader.tar.br'));
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

/** What a child process needs in its environment to find a driver. */
export async function driverEnvironment(): Promise<Record<string, string>> {
  if (hasOwnDriver()) return {};
  const folder = await unpack();
  return { VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'), LD_LIBRARY_PATH: folder };
}

/** `RTLD_NODELETE`, which Node does not name. */
const keepLoaded = 0x1000;

/** Makes a driver known to this process, before its first use of WebGPU. */
export async function useDriver(): Promise<void> {
  const { LD_LIBRARY_PATH: folder, ...environment } = await driverEnvironment();
  Object.assign(process.env, environment);
  if (!folder) return;
  try {
    // The path to libraries is read when a process starts. One that is loaded already is found without it. It is not an
    // addon, and Node says so once it is loaded.
    process.dlopen({ exports: {} }, join(folder, 'libvulkan.so.1'), constants.dlopen.RTLD_NOW | keepLoaded);
  } catch (error) {
    if (!String(error).includes('self-register')) throw error;
  }
}

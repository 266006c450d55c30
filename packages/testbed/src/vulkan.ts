/**
 * A Vulkan driver for tests. A machine with a GPU and a driver of its own uses it; elsewhere it is SwiftShader, which
 * computes on the processor and comes inside an npm package. `TUTTI_TEST_DRIVER` decides where that is wrong: `swiftshader`
 * or `system`.
 */
import { existsSync, readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { ArgumentError } from '@tutti/core/backend';
import { hasArchives, unpack } from './unpack.ts';

const manifests = ['/etc/vulkan/icd.d', '/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];

const namesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

/** Mesa installs drivers for GPUs that are not there, and a software one that is older than Dawn wants, or slow to compile. */
function hasGpu(): boolean {
  const drivers = manifests
    .flatMap(namesIn)
    .filter((name) => name.endsWith('.json') && !name.startsWith('lvp_'));
  const gpus = [...namesIn('/dev/dri'), ...namesIn('/dev')].filter((name) =>
    /^(renderD\d+|nvidia\d+|dxg)$/.test(name),
  );
  return drivers.length > 0 && gpus.length > 0;
}

/** Whether a GPU of this machine is used, as far as the tests have a choice. */
export function prefersSystem(): boolean {
  const wish = process.env['TUTTI_TEST_DRIVER'] || undefined;
  if (wish === 'system' || wish === 'swiftshader') return wish === 'system';
  if (wish === undefined) return hasGpu();
  throw new ArgumentError(`${wish} is no driver for tests`, {
    received: wish,
    fix: 'set TUTTI_TEST_DRIVER to swiftshader or system, or leave it out',
  });
}

/** The folder of SwiftShader; undefined where tests add nothing to what the machine has. */
async function swiftShader(): Promise<string | undefined> {
  if (prefersSystem() || !hasArchives || process.env['VK_ICD_FILENAMES']) return undefined;
  return unpack('swiftshader', ['swiftshader.tar.br']);
}

/** What a child process needs in its environment to find a driver. */
export async function driverEnvironment(): Promise<Record<string, string>> {
  const folder = await swiftShader();
  if (folder === undefined) return {};
  return {
    VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'),
    LD_LIBRARY_PATH: [folder, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':'),
  };
}

/** `RTLD_NODELETE`, which Node does not name. */
const keepLoaded = 0x1000;

/**
 * Makes a driver known to this process and to those that it starts, before its first use of WebGPU. Gives whether it is one
 * that computes on the processor.
 */
export async function useDriver(): Promise<boolean> {
  const folder = await swiftShader();
  if (folder === undefined) return false;
  Object.assign(process.env, await driverEnvironment());
  try {
    // The path to libraries is read when a process starts. One that is loaded already is found without it. It is not an
    // addon, and Node says so once it is loaded.
    process.dlopen({ exports: {} }, join(folder, 'libvulkan.so.1'), constants.dlopen.RTLD_NOW | keepLoaded);
  } catch (error) {
    if (!String(error).includes('self-register')) throw error;
  }
  return true;
}

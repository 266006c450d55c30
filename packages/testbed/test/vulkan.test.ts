import { existsSync } from 'node:fs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { driverEnvironment } from '../src/index.ts';

function set(name: string, value: string): void {
  vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
}

it('adds nothing where a driver was named, or the one of the system is wanted', async () => {
  set('TUTTI_TEST_DRIVER', 'system');
  expect(await driverEnvironment()).toEqual({});
  set('TUTTI_TEST_DRIVER', 'swiftshader');
  set('VK_ICD_FILENAMES', '/somewhere.json');
  expect(await driverEnvironment()).toEqual({});
});

it.runIf(process.platform === 'linux' && process.arch === 'x64')(
  'unpacks SwiftShader and its library',
  async () => {
    set('TUTTI_TEST_DRIVER', 'swiftshader');
    set('VK_ICD_FILENAMES', '');
    set('LD_LIBRARY_PATH', '/elsewhere');
    const { VK_ICD_FILENAMES: manifest, LD_LIBRARY_PATH: path } = await driverEnvironment();
    expect(existsSync(manifest!)).toBe(true);
    const [folder, elsewhere] = path!.split(':');
    expect(existsSync(`${folder}/libvulkan.so.1`)).toBe(true);
    expect(elsewhere).toBe('/elsewhere');
  },
);

it('refuses a driver that it does not know', async () => {
  set('TUTTI_TEST_DRIVER', 'lavapipe');
  await expect(driverEnvironment()).rejects.toThrow(/TUTTI_TEST_DRIVER to swiftshader or system/);
});

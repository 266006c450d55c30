import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type AddonSearch, findAddon, loadBinding } from '../src/native/load.ts';
import { addonPath } from './support/addon.ts';

const folder = mkdtempSync(join(tmpdir(), 'tutti-cuda-load-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const nowhere = join(folder, 'nowhere.node');
const noPackage = (name: string): never => {
  throw new Error(`Cannot find package '${name}'`);
};

/** A machine with nothing on it, but for what a test puts there. */
const search = (
  wishes: AddonSearch & { readonly addon?: string; readonly platform?: string },
): AddonSearch => ({
  surroundings: {
    platform: wishes.platform ?? 'linux',
    environment: { TUTTI_CUDA_ADDON: wishes.addon },
    home: folder,
    root: folder,
  },
  processor: 'x64',
  built: nowhere,
  resolve: noPackage,
  ...wishes,
});

describe('the addon', () => {
  it('is the one that the variable names, else the one that was built, else that of the platform', () => {
    const named = file('named.node', '');
    const own = file('own.node', '');
    const resolve = (name: string): string => `/installed/${name}`;
    expect(findAddon(search({ addon: named, built: own, resolve }))).toBe(named);
    expect(findAddon(search({ built: own, resolve }))).toBe(own);
    expect(findAddon(search({ resolve }))).toBe('/installed/@tutti/cuda-linux-x64');
    expect(findAddon(search({ processor: 'arm64', resolve }))).toBe('/installed/@tutti/cuda-linux-arm64');
    expect(findAddon()).toBe(addonPath);
    expect(loadBinding()).toHaveProperty('openDriver');
  });

  it('that is named must be there: no other is taken', () => {
    const own = file('own.node', '');
    expect(findAddon(search({ addon: nowhere, built: own }))).toMatchObject({
      reason: `the addon that TUTTI_CUDA_ADDON names, ${nowhere}, was not found`,
      fix: expect.stringContaining('TUTTI_CUDA_ADDON'),
    });
  });

  it('is not there: what to do', () => {
    expect(findAddon(search({}))).toEqual({
      reason: 'the addon of @tutti/cuda is neither installed (@tutti/cuda-linux-x64) nor built',
      fix: expect.stringContaining('build-native.mjs'),
    });
    expect(findAddon(search({ platform: 'darwin', processor: 'arm64' }))).toEqual({
      reason: 'there is no addon of @tutti/cuda for darwin-arm64',
      fix: expect.stringContaining('another backend'),
    });
  });

  it('does not load: the words of the loader, in one line', () => {
    const broken = file('broken.node', 'no library');
    expect(loadBinding(search({ addon: broken }))).toMatchObject({
      reason: expect.stringMatching(/^the addon of @tutti\/cuda, .*broken\.node, does not load: .*[^\n]$/),
      fix: expect.stringMatching(/^set TUTTI_CUDA_ADDON to .* ends in \.node, or take it away$/),
    });
    expect(loadBinding(search({ built: broken }))).toMatchObject({
      fix: expect.stringContaining('build-native.mjs'),
    });
    // From where the program runs, and not from where the package lies.
    const fromHere = relative(process.cwd(), file('broken.so', 'no library'));
    expect(loadBinding(search({ addon: fromHere }))).toMatchObject({
      reason: expect.stringContaining(join(folder, 'broken.so')),
    });
  });

  it('has another version', () => {
    const other = file('other.cjs', 'exports.interfaceVersion = 1000;');
    expect(loadBinding(search({ addon: other }))).toMatchObject({
      reason: expect.stringMatching(/has version 1000 of its interface, and this package needs \d+/),
    });
  });
});

import { knownBackends } from 'tutti';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { failedImport, optionalBackend } from '../src/load.ts';

const missing = (name: string): Error =>
  Object.assign(new Error(`Cannot find package '@tutti/${name}' imported from here`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });

afterEach(() => void vi.unstubAllGlobals());

const brass = { name: 'brass', priority: 50, planned: false };

describe('known backends', () => {
  it('have unique names, and their factories answer to them', () => {
    const names = knownBackends.map((backend) => backend.name);
    expect(new Set(names).size).toBe(names.length);
    expect(knownBackends.map((backend) => backend.factory.name)).toEqual(names);
  });

  it('stand in the order of the automatic choice', () => {
    const priorities = knownBackends.map((backend) => backend.factory.priority);
    expect(priorities).toEqual([...priorities].sort((a, b) => b - a));
    expect(new Set(priorities).size).toBe(priorities.length);
  });

  it('are optional peers, or come with this package', async () => {
    const manifest = (await import('../package.json', { with: { type: 'json' } })).default;
    for (const { package: name, included } of knownBackends) {
      const declared: Record<string, string> = included ? manifest.dependencies : manifest.peerDependencies;
      expect(declared).toHaveProperty([name]);
      if (included) continue;
      expect(manifest.peerDependenciesMeta).toHaveProperty([name], { optional: true });
    }
  });

  it('cpu is there without a further installation', async () => {
    const cpu = knownBackends.find((backend) => backend.name === 'cpu')!;
    expect(cpu.included).toBe(true);
    expect(await cpu.factory.probe()).toMatchObject({ available: true });
  });
});

describe('a backend whose package is not there', () => {
  it('says so, and what to install', async () => {
    const backend = optionalBackend(brass, async () => failedImport('brass', missing('brass')));
    expect(await backend.probe()).toEqual({
      available: false,
      reason: 'the package @tutti/brass is not installed',
      fix: 'npm install @tutti/brass',
    });
  });

  it.each([
    ['webpack', Object.assign(new Error("Cannot find module '@tutti/brass'"), { code: 'MODULE_NOT_FOUND' })],
    ['Vite', new Error('Could not resolve "@tutti/brass" imported by "tutti". Is it installed?')],
    ['a browser', new TypeError("Failed to resolve module specifier '@tutti/brass'")],
  ])('is recognised by what %s says', async (_, error) => {
    const backend = optionalBackend(brass, async () => failedImport('brass', error));
    expect(await backend.probe()).toMatchObject({ reason: 'the package @tutti/brass is not installed' });
  });

  it('is looked for again after it failed', async () => {
    let installed = false;
    const strings = knownBackends.find((backend) => backend.name === 'cpu')!.factory;
    const backend = optionalBackend(brass, async () =>
      installed ? strings : failedImport('brass', missing('brass')),
    );
    expect(await backend.probe()).toMatchObject({ available: false });
    installed = true;
    expect(await backend.probe()).toMatchObject({ available: true });
  });
});

describe('a backend that is planned', () => {
  it('says so, and does not send anybody to install it', async () => {
    const load = async () => failedImport('brass', missing('brass'));
    expect(await optionalBackend({ ...brass, planned: true }, load).probe()).toEqual({
      available: false,
      reason: 'it is planned: there is no package @tutti/brass yet',
      fix: 'use another device: `tutti doctor` lists those of this machine',
    });
  });

  it('does not send a page to a command line', async () => {
    const load = async () => failedImport('brass', missing('brass'));
    vi.stubGlobal('process', undefined);
    expect(await optionalBackend({ ...brass, planned: true }, load).probe()).toMatchObject({
      fix: 'use another device: await devices() lists those that are here',
    });
  });
});

describe('a backend that no page has', () => {
  const nodeOnly = { ...brass, nodeOnly: true };
  const load = vi.fn(async () => failedImport('brass', missing('brass')));

  it('is looked for in Node', async () => {
    expect(await optionalBackend(nodeOnly, load).probe()).toMatchObject({ fix: 'npm install @tutti/brass' });
    expect(load).toHaveBeenCalled();
  });

  it('is not to be installed for a page, nor looked for', async () => {
    load.mockClear();
    vi.stubGlobal('process', undefined);
    const backend = optionalBackend(nodeOnly, load);
    expect(await backend.probe()).toEqual({
      available: false,
      reason: 'it needs Node, and this is a browser',
      fix: 'use another device: await devices() lists those that are here',
    });
    await expect(backend.open(0)).rejects.toMatchObject({ code: 'TUTTI_BACKEND_UNAVAILABLE' });
    expect(load).not.toHaveBeenCalled();
    expect(knownBackends.filter((each) => each.nodeOnly).map(({ name }) => name)).toEqual(['cuda']);
  });
});

describe('a backend whose package is there and does not load', () => {
  it.each([
    ['throws', new Error('the library libbrass.so.2 was not found')],
    ['lacks a package of its own', missing('mutes')],
  ])('is not called missing when it %s', async (_, error) => {
    const backend = optionalBackend(brass, async () => failedImport('brass', error));
    const answer = await backend.probe();
    expect(answer).toMatchObject({ available: false, fix: expect.stringContaining('@tutti/brass again') });
    expect(answer).toHaveProperty('reason', expect.stringContaining(error.message));
    await expect(backend.open(0)).rejects.toBe(error);
  });
});

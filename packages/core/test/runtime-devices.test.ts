/** Devices: which is taken, by whom, and what is said when it is not there. */
import { inspect } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  ArgumentError,
  announceBackend,
  type BackendFactory,
  type ProbeResult,
} from '../src/backend/index.ts';
import { interpreterBackend } from '../src/testing/index.ts';
import * as t from './all.ts';
import { list, vector } from './runtime-support.ts';

const environment = process.env;
const known: string[] = [];

function register(
  name: string,
  priority: number,
  change: Partial<BackendFactory> = {},
  emulated = false,
): void {
  known.push(name);
  t.registerBackend({ ...interpreterBackend({ name, priority, emulated }), ...change });
}

const missing = (name: string): Partial<BackendFactory> => ({
  probe: async () => ({
    available: false,
    reason: `${name} has no driver`,
    fix: `install the driver of ${name}`,
  }),
});

afterEach(async () => {
  delete environment['TUTTI_DEVICE'];
  for (const name of known.splice(0)) await t.unregisterBackend(name);
});

describe('what is registered', () => {
  const good = interpreterBackend({ name: 'good', priority: 1 });
  it.each([
    ['nothing', undefined, 'its `name` is not a word'],
    ['null', null, 'its `name` is not a word'],
    ['a name with a colon', { ...good, name: 'good:0' }, 'its `name` is not a word'],
    ['no priority', { ...good, priority: undefined }, 'its `priority` is not a number'],
    ['no probe', { ...good, probe: undefined }, 'it has no method `probe`'],
    ['no open', { ...good, open: undefined }, 'it has no method `open`'],
  ])('is a backend: not %s', (_, factory, message) => {
    expect(() => t.registerBackend(factory as BackendFactory)).toThrow(message);
  });

  it('does not change under a device that is open', async () => {
    register('once', 1);
    const first = await t.device('once');
    expect(() => register('once', 1)).toThrow(
      expect.objectContaining({
        code: 'TUTTI_DEVICE',
        message: expect.stringContaining('device once of another backend named once is open'),
        fix: expect.stringContaining("await unregisterBackend('once')"),
      }),
    );
    await t.unregisterBackend('once');
    register('once', 1);
    expect(await t.device('once')).not.toBe(first);
  });

  it('is what a function gives, and not the function', () => {
    function createBrass(): void {}
    expect(() => t.registerBackend(createBrass as never)).toThrow(
      expect.objectContaining({
        code: 'TUTTI_DEVICE',
        message: expect.stringContaining('it is a function'),
        received: 'function createBrass',
        fix: 'pass what it gives: registerBackend(createBrass())',
      }),
    );
    expect(() => t.registerBackend((() => good) as never)).toThrow(/registerBackend\(make\(\)\)/);
  });

  it('comes back when it was taken out', async () => {
    register('brass', 1);
    register('cpu', 1);
    await t.unregisterBackend('brass');
    await expect(t.device('brass')).rejects.toMatchObject({
      code: 'TUTTI_BACKEND_UNAVAILABLE',
      fix: expect.stringMatching(/^unregisterBackend\('brass'\) took it out: registerBackend.*cpu/),
    });
    register('brass', 1);
    expect((await t.device('brass')).id).toBe('brass');
    await t.unregisterBackend('never');
    await expect(t.device('never')).rejects.toMatchObject({ fix: expect.stringMatching(/^known backends/) });
  });

  it('changes once the device that is open has failed', async () => {
    register('lost', 1);
    const lost = await t.device('lost');
    lost.backend.dispose();
    expect(lost.backend.failure).toBeDefined();
    register('lost', 1);
    const next = await t.device('lost');
    expect(next).not.toBe(lost);
    expect(next.backend.failure).toBeUndefined();
  });

  it.each([
    [
      'throws at once',
      () => {
        throw new RangeError('boom');
      },
      'boom',
    ],
    ['answers nothing', async () => undefined, 'its probe() gave neither'],
    ['has no list of devices', async () => ({ available: true }), 'its probe() gave neither'],
  ])('is not available when its probe %s', async (_, probe, message) => {
    register('odd', 1, { probe: probe as unknown as BackendFactory['probe'] });
    await expect(t.device('odd')).rejects.toThrow(message);
  });
});

describe('the automatic device', () => {
  it('is the available one of the highest priority, opened by the first thing that runs', async () => {
    register('slow', 1);
    register('fast', 5);
    register('broken', 9, missing('broken'));
    register('explosive', 8, { probe: () => Promise.reject(new RangeError('boom')) });
    const x = vector(1, 2);
    expect(x.device.id).toBe('auto');
    expect(x.device.isOpen).toBe(false);
    expect(() => x.add(1).dataSync()).toThrow(
      expect.objectContaining({ code: 'TUTTI_DEVICE', fix: expect.stringContaining('setDefaultDevice') }),
    );
    expect(await list(x.add(1))).toEqual([2, 3]);
    expect(x.device.id).toBe('fast');
    expect(t.deviceSelection()).toMatchObject({ taken: 'fast', because: 'priority' });
    expect(t.deviceSelection()!.passedOver).toEqual([
      { backend: 'broken', reason: 'broken has no driver', fix: 'install the driver of broken' },
      { backend: 'explosive', reason: expect.stringContaining('boom'), fix: expect.any(String) },
    ]);
    expect(t.openDevices().map((device) => device.id)).toEqual(['fast']);
    expect(Object.keys(t.memory())).toEqual(['fast']);
  });

  it('is nobody else where a setting of a backend is wrong', async () => {
    register('fair', 1);
    const received = 'much';
    let wish = received;
    const probe = async (): Promise<ProbeResult> => {
      if (wish === received) throw new ArgumentError('BEST is "much"', { received, fix: 'set it to more' });
      return interpreterBackend({ name: 'best', emulated: false }).probe();
    };
    register('best', 5, { probe });
    const wrong = { code: 'TUTTI_ARGUMENT', message: 'BEST is "much"\n  fix: set it to more', received };
    for (const each of [t.automaticChoice(), t.setDefaultDevice('auto'), t.device('best')])
      await expect(each).rejects.toMatchObject(wrong);
    expect((await t.device('fair')).id).toBe('fair');
    expect(await t.devices()).toMatchObject([
      { id: 'best', available: false, reason: 'BEST is "much"', fix: 'set it to more' },
      { id: 'fair', available: true },
    ]);
    wish = 'more';
    expect((await t.setDefaultDevice('auto')).id).toBe('best');
  });

  it('can be asked for without opening anything', async () => {
    const open = (): Promise<never> => Promise.reject(new RangeError('nothing is opened'));
    register('slow', 1, { open });
    register('fast', 5, { open });
    register('broken', 9, missing('broken'));
    expect(t.registeredBackends().map(({ name }) => name)).toEqual(['broken', 'fast', 'slow']);
    expect(await t.automaticChoice()).toMatchObject({
      taken: 'fast',
      because: 'priority',
      passedOver: [{ backend: 'broken' }],
    });
    environment['TUTTI_DEVICE'] = 'slow:3';
    expect(await t.automaticChoice()).toMatchObject({ taken: 'slow:3', because: 'TUTTI_DEVICE' });
    environment['TUTTI_DEVICE'] = 'auto';
    for (const name of ['slow', 'fast']) await t.unregisterBackend(name);
    expect(await t.automaticChoice()).toMatchObject({
      taken: undefined,
      passedOver: [{ backend: 'broken' }],
    });
  });

  it('is what TUTTI_DEVICE says', async () => {
    register('slow', 1);
    register('fast', 5);
    register('broken', 9, missing('broken'));
    environment['TUTTI_DEVICE'] = 'slow';
    const x = vector(1).add(1);
    expect(await list(x)).toEqual([2]);
    expect(x.device.id).toBe('slow');
    expect(t.deviceSelection()).toMatchObject({ taken: 'slow', because: 'TUTTI_DEVICE', passedOver: [] });
    for (const [wish, message] of [
      ['Slow', 'TUTTI_DEVICE: there is no backend called "Slow"'],
      ['slow:3', 'TUTTI_DEVICE: there is no device slow:3'],
      ['broken', 'TUTTI_DEVICE: device broken is not available'],
    ] as const) {
      environment['TUTTI_DEVICE'] = wish;
      await expect(t.setDefaultDevice('auto')).rejects.toMatchObject({
        code: 'TUTTI_BACKEND_UNAVAILABLE',
        message: expect.stringContaining(message),
      });
    }
    await expect(t.setDefaultDevice('Slow')).rejects.toMatchObject({
      message: expect.stringMatching(/^there is no/),
    });
  });

  it('is no stand-in where there is real hardware, unless it is asked for', async () => {
    register('real', 1);
    register('standin', 5, {}, true);
    expect((await t.setDefaultDevice('auto')).id).toBe('real');
    expect(t.deviceSelection()!.passedOver).toMatchObject([
      { backend: 'standin', fix: expect.stringContaining('TUTTI_DEVICE=standin') },
    ]);
    expect((await t.setDefaultDevice('standin')).id).toBe('standin');
    await t.unregisterBackend('real');
    expect((await t.setDefaultDevice('auto')).id).toBe('standin');
  });

  it('is not advised about in terms of Node where there is none', async () => {
    register('real', 1);
    register('standin', 5, {}, true);
    vi.stubGlobal('process', undefined);
    try {
      expect((await t.automaticChoice()).passedOver).toMatchObject([
        { backend: 'standin', fix: "to use it all the same, call setDefaultDevice('standin')" },
      ]);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  it('is chosen again when its backend is gone', async () => {
    register('first', 5);
    expect(await list(vector(1))).toEqual([1]);
    await t.setDefaultDevice('auto');
    await t.unregisterBackend('first');
    expect(() => vector(1)).toThrow(
      expect.objectContaining({ code: 'TUTTI_DEVICE', fix: expect.stringContaining('registerBackend') }),
    );
    register('second', 1);
    const x = vector(1).add(1);
    expect(await list(x)).toEqual([2]);
    expect(x.device.id).toBe('second');
  });

  it('is an error when there is none', async () => {
    register('broken', 9, missing('broken'));
    await expect(vector(1).add(1).data()).rejects.toMatchObject({
      code: 'TUTTI_BACKEND_UNAVAILABLE',
      message: expect.stringContaining('broken has no driver'),
      fix: 'install the driver of broken',
    });
  });
});

describe('a device that is asked for', () => {
  it('is opened once', async () => {
    let opened = 0;
    const factory = interpreterBackend({ name: 'one' });
    const open = (index: number) => {
      opened++;
      return factory.open(index);
    };
    register('one', 1, { open });
    const [a, b] = await Promise.all([t.device('one'), t.device('one')]);
    expect(a).toBe(b);
    expect(await t.device('one:0')).toBe(a);
    expect(opened).toBe(1);
  });

  it('is never another one', async () => {
    register('here', 1);
    register('broken', 2, missing('broken'));
    await expect(t.device('broken')).rejects.toMatchObject({
      code: 'TUTTI_BACKEND_UNAVAILABLE',
      fix: 'install the driver of broken',
    });
    await expect(t.setDefaultDevice('unknown')).rejects.toMatchObject({
      message: expect.stringContaining('"unknown"'),
      fix: expect.stringContaining('broken, here'),
    });
    for (const [wish, meant] of [
      ['HERE', 'here'],
      ['brokn:1', 'broken'],
      ['AUTO', 'auto'],
    ] as const) {
      await expect(t.device(wish)).rejects.toMatchObject({
        message: expect.stringContaining(`called "${wish.split(':')[0]}"`),
        fix: `did you mean ${meant}? known backends: broken, here; auto is the best of them that is available`,
      });
    }
    for (const wish of ['here:-1', 'here:x', 'here:', 'here:1:2']) {
      await expect(t.device(wish)).rejects.toMatchObject({
        code: 'TUTTI_BACKEND_UNAVAILABLE',
        message: expect.stringContaining(`"${wish}" is no device: behind here: stands its number`),
        received: wish,
        fix: "use 'here', or 'here:1' for the second device of here",
      });
    }
    await expect(t.device('Not an id')).rejects.toMatchObject({ code: 'TUTTI_BACKEND_UNAVAILABLE' });
    await expect(t.setDefaultDevice(5 as never)).rejects.toMatchObject({ code: 'TUTTI_DEVICE' });
  });

  it('is asked for without options, which are those of a backend', async () => {
    register('here', 1);
    const set = t.setDefaultDevice as (...args: unknown[]) => Promise<t.Device>;
    await expect(set('here', { powerPreference: 'low-power' })).rejects.toMatchObject({
      code: 'TUTTI_ARGUMENT',
      op: 'setDefaultDevice',
      message: expect.stringContaining('it takes no options, and there is none called "powerPreference"'),
      fix: expect.stringContaining('register one that was made with them'),
    });
    await Promise.all(['here'].map(set)); // what else stands behind the name is not looked at
    const jit = t.jit as (...args: unknown[]) => unknown;
    expect(() => jit((x: t.Tensor) => x, { static: true })).toThrow(
      expect.objectContaining({
        code: 'TUTTI_ARGUMENT',
        op: 'jit',
        message: expect.stringContaining('"static"'),
      }),
    );
    expect([(x: t.Tensor) => x].map(t.jit)).toHaveLength(1);
  });

  it('can be tried again when opening failed', async () => {
    let attempts = 0;
    const factory = interpreterBackend({ name: 'shaky' });
    register('shaky', 1, {
      open: async (index) => {
        if (attempts++ === 0) throw new RangeError('not yet');
        return factory.open(index);
      },
    });
    const x = vector(1).add(1);
    await expect(x.data()).rejects.toThrow('not yet');
    expect(await list(x)).toEqual([2]);
  });

  it('may be in a package that is not installed', async () => {
    const lazy = (load: () => Promise<BackendFactory>): BackendFactory =>
      t.lazyBackend({
        name: 'lazy',
        priority: 3,
        load,
        missing: { reason: 'the package lazy is not installed', fix: 'npm install lazy' },
      });
    known.push('lazy');
    t.registerBackend(lazy(() => Promise.reject(new RangeError('no such module'))));
    await expect(t.device('lazy')).rejects.toMatchObject({
      message: expect.stringContaining('not installed'),
      fix: 'npm install lazy',
    });
    t.registerBackend(lazy(async () => interpreterBackend({ name: 'lazy' })));
    expect((await t.device('lazy')).id).toBe('lazy');
  });

  it('is not loaded a second time', async () => {
    announceBackend(interpreterBackend({ name: 'present', priority: 0 }));
    known.push('present');
    t.registerBackend(
      t.lazyBackend({
        name: 'present',
        priority: 3,
        load: () => Promise.reject(new RangeError('this is loaded already')),
        missing: { reason: 'the package present is not installed', fix: 'npm install present' },
      }),
    );
    expect((await t.device('present')).id).toBe('present');
  });

  it('is listed, available or not', async () => {
    register('good', 1);
    register('broken', 2, missing('broken'));
    expect(await t.devices()).toMatchObject([
      { id: 'broken', available: false, fix: 'install the driver of broken' },
      { id: 'good', available: true, info: { emulated: false } },
    ]);
  });
});

describe('two devices', () => {
  it('hold their own tensors, which meet only when they are moved', async () => {
    register('left', 1);
    register('right', 2);
    const [left, right] = [await t.device('left'), await t.device('right')];
    await t.setDefaultDevice(left);
    const x = vector(1, 2);
    const y = t.tensor([10, 20], { device: right });
    expect(() => x.add(y)).toThrow(
      expect.objectContaining({
        code: 'TUTTI_DEVICE',
        message: expect.stringContaining('left and right'),
        fix: expect.stringContaining("x.to('left')"),
      }),
    );
    const moved = await x.to('right');
    expect(moved.device).toBe(right);
    expect(await list(moved.add(y))).toEqual([11, 22]);
    const v = t.variable(x);
    expect(() => v.assign(y)).toThrow(expect.objectContaining({ code: 'TUTTI_DEVICE' }));
    await t.realize(x.mul(2), y.mul(2), moved);
    expect(Object.keys(t.memory())).toEqual(['left', 'right']);
    expect(t.memory()['left']!.buffers).toBeGreaterThan(0);
  });

  it('are not of one tensor made before a device was set', async () => {
    register('left', 1);
    const early = vector(1, 2); // on the automatic device, which nobody has chosen yet
    const left = await t.setDefaultDevice('left');
    const late = vector(1, 2);
    const error = {
      code: 'TUTTI_DEVICE',
      message: expect.stringMatching(/different devices, \w+ and \w+; what is on auto was made before/),
      fix: "call await setDefaultDevice('left') before tensors and models are made, or move what is on auto: await x.to('left')",
    };
    expect(() => early.add(late)).toThrow(expect.objectContaining(error));
    expect(() => late.add(early)).toThrow(expect.objectContaining(error));
    expect(left.failure).toBeUndefined();
    expect(await list((await early.to('left')).add(late))).toEqual([2, 4]);
    await t.unregisterBackend('left');
    expect(left.failure).toMatchObject({ code: 'TUTTI_DISPOSED' });
  });

  it('of one name are two where the first has ended', async () => {
    register('again', 1);
    const first = await t.device('again');
    const old = t.tensor([1], { device: first });
    await t.unregisterBackend('again');
    register('again', 1);
    const next = t.tensor([1], { device: await t.device('again') });
    const message = /operands on two devices called again, .*\n.*make the tensors of the old one anew/;
    expect(() => next.add(old)).toThrow(message);
    expect(() => t.concat([next, old])).toThrow(message);
    expect(inspect(first)).toBe('Device(again)');
  });

  it('are one where two handles mean the same backend', async () => {
    register('only', 1);
    const x = vector(1, 2); // on the automatic device
    await t.realize(x.add(0.5));
    const y = t.tensor([1, 1], { device: await t.device('only') });
    expect(await list(x.add(y))).toEqual([2, 3]);
    const f = t.jit((a: t.Tensor, b: t.Tensor) => [a.add(b), a]);
    expect(await list((await f(x, y))[0]!)).toEqual([2, 3]);
  });

  it('have plans of their own, and a jitted function runs on one of them', async () => {
    register('left', 1);
    register('right', 2);
    await t.setDefaultDevice('left');
    const right = await t.device('right');
    const f = t.jit((x: t.Tensor) => x.mul(2));
    expect((await f(vector(1))).device.id).toBe('left');
    expect((await f(t.tensor([1], { device: right }))).device.id).toBe('right');
    expect(f.stats.traces).toBe(2);
    const both = t.jit((a: t.Tensor, b: t.Tensor) => [a.mul(2), b.mul(2)]);
    await expect(both(vector(1), t.tensor([1], { device: right }))).rejects.toMatchObject({
      code: 'TUTTI_DEVICE',
      message: expect.stringContaining('left and on right'),
    });
  });

  it('end when they are synchronized', async () => {
    register('one', 1);
    const device = await t.device('one');
    await t.synchronize(device);
  });
});

import { deviceChecks, dispatch, upload } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { checked, make } from './support/device.ts';
import { affine, increment } from './support/programs.ts';

describe.each(['adapter', 'default'] as const)('with the limits of the %s', (limits) => {
  it.each(deviceChecks)('$name', { timeout: 60_000 }, ({ run }) =>
    run(async () => checked(await make(limits))),
  );
});

it('asks a caller that is far ahead to wait, and nobody else', async () => {
  const backend = await make();
  const program = backend.load(affine(64, 20_000));
  await program.ready;
  const [a, b] = [upload(backend, new Int32Array(64)), backend.allocate(256)];
  const command = dispatch(program, [a, b], [1]);
  const fence = backend.submit([command]);
  expect(fence.pace).toBeUndefined();
  let waits = 0;
  for (let i = 0; i < 300; i++) {
    const { pace } = backend.submit([command]);
    if (pace) waits++;
    await pace;
  }
  expect(waits).toBeGreaterThan(0);
  await backend.submit([]).done;
  expect(backend.submit([command]).pace).toBeUndefined();
});

it('refuses programs of another device', async () => {
  const [one, two] = [await make(), await make()];
  const program = two.load(increment(64));
  await program.ready;
  const a = upload(one, new Int32Array(64));
  expect(() => one.submit([dispatch(program, [a])])).toThrow(
    expect.objectContaining({ code: 'TUTTI_DEVICE' }),
  );
});

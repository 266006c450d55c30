import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { InterruptGuard } from '../src/interrupt.ts';
import { temporaryFolder, tutti } from './support.ts';

describe('Ctrl-C in a training', () => {
  it('exits with 130 and leaves no file, although the signal comes twice', async () => {
    const folder = temporaryFolder();
    let sent = false;
    const { code, signal, stdout, stderr } = await tutti(
      // More than can be done before the signal, with lines that tell when the training has begun.
      ['train', 'mnist', '--train', '2000', '--batch', '8', '--epochs', '1000']
        .concat('--save', join(folder, 'model.safetensors'))
        .concat('--json', join(folder, 'result.json')),
      {
        onOutput: (_, child) => {
          if (sent) return;
          sent = true;
          child.kill('SIGINT');
          setTimeout(() => child.kill('SIGINT'), 100);
        },
      },
    );
    expect({ code, signal }).toEqual({ code: 130, signal: null });
    const files = `${join(folder, 'model.safetensors')} and ${join(folder, 'result.json')}`;
    expect(stderr).toBe(`interrupted: ${files} not written\n`);
    expect(stdout).not.toContain('test accuracy');
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('the guard', () => {
  afterEach(() => vi.restoreAllMocks());

  /** A guard, and what it did; exiting is only noted. */
  function guarded(): { readonly guard: InterruptGuard; readonly done: string[] } {
    const done: string[] = [];
    vi.spyOn(process, 'exit').mockImplementation((code) => {
      done.push(`exit ${code}`);
      return undefined as never;
    });
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const guard = new InterruptGuard(() => done.push('restore'));
    return { guard, done };
  }

  it('restores the terminal, then exits', () => {
    const { guard, done } = guarded();
    process.emit('SIGINT', 'SIGINT');
    guard.release();
    expect(done).toEqual(['restore', 'exit 130']);
  });

  it('waits for a file that is being written, and takes signals in quick succession for one', async () => {
    const { guard, done } = guarded();
    await guard.protect(async () => {
      process.emit('SIGINT', 'SIGINT');
      process.emit('SIGINT', 'SIGINT');
      await Promise.resolve();
      done.push('written');
    });
    guard.release();
    expect(done).toEqual(['written', 'restore', 'exit 130']);
  });

  it('does not wait when there is a second signal later', async () => {
    const { guard, done } = guarded();
    const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
    await guard.protect(async () => {
      process.emit('SIGINT', 'SIGINT');
      now.mockReturnValue(1600);
      process.emit('SIGINT', 'SIGINT');
      done.push('written');
    });
    guard.release();
    expect(done.slice(0, 2)).toEqual(['restore', 'exit 130']);
  });

  it('exits with 143 on SIGTERM', () => {
    const { guard, done } = guarded();
    process.emit('SIGTERM', 'SIGTERM');
    guard.release();
    expect(done).toEqual(['restore', 'exit 143']);
  });

  it('leaves no listener behind', () => {
    const before = process.listenerCount('SIGINT');
    const { guard } = guarded();
    guard.release();
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});

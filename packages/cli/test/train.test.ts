import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Finished, lastLine, small, temporaryFolder, tutti } from './support.ts';

const train = (flags: readonly string[], env: Record<string, string> = {}): Promise<Finished> =>
  tutti(['train', 'mnist', ...flags], { env });

const resultLine =
  /^test accuracy 0\.\d{4} \((\d+)\/200\), \d+(?:\.\d)? s, \d+ images\/s, device cpu \(.+\)$/;

describe('tutti train mnist', () => {
  it('prints plain lines without a terminal, and the result last', async () => {
    const { code, stdout, stderr } = await train(small);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toContain('\u001b');
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^epoch 1\/1 {2}step 8\/8 {2}loss \d\.\d{4} {2}\d+ images\/s {2}0 s left$/);
    expect(lines.at(-1)).toMatch(resultLine);
  });

  it('learns', async () => {
    const flags = ['--train', '2048', '--test', '200', '--epochs', '2', '--batch', '64'];
    const { stdout } = await train(flags);
    expect(Number(resultLine.exec(lastLine(stdout))![1])).toBeGreaterThan(150);
  });

  it('--json has the result and every loss', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'result.json');
    const { stdout } = await train([...small, '--json', file, '--seed', '7']);
    const result = JSON.parse(readFileSync(file, 'utf8'));
    expect(Object.keys(result)).toEqual([
      'device',
      'backend',
      'seed',
      'epochs',
      'seconds',
      'imagesPerSecond',
      'testAccuracy',
      'losses',
    ]);
    expect(result).toMatchObject({ device: 'cpu', backend: 'cpu', seed: 7, epochs: 1 });
    expect(result.losses).toHaveLength(8);
    expect(result.imagesPerSecond).toBeCloseTo(512 / result.seconds, 6);
    expect(lastLine(stdout)).toContain(`test accuracy ${result.testAccuracy.toFixed(4)} `);
    expect(readdirSync(folder)).toEqual(['result.json']);
  });

  it('has the same losses for the same seed, with one thread or two, and others for another seed', async () => {
    const folder = temporaryFolder();
    const losses = async (name: string, seed: string, threads: string): Promise<unknown> => {
      const file = join(folder, name);
      await train([...small, '--seed', seed, '--json', file], { TUTTI_THREADS: threads });
      return JSON.parse(readFileSync(file, 'utf8')).losses;
    };
    const first = await losses('a', '1', '1');
    expect(await losses('b', '1', '1')).toEqual(first);
    expect(await losses('c', '1', '2')).toEqual(first);
    expect(await losses('d', '2', '2')).not.toEqual(first);
  });

  it('--load of what --save wrote gives the same accuracy, with --epochs 0', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'model.safetensors');
    const saved = await train([...small, '--save', file]);
    expect(readdirSync(folder)).toEqual(['model.safetensors']);
    const loaded = await train(['--test', '200', '--load', file, '--epochs', '0']);
    const accuracy = (text: string): string => text.split(',')[0]!;
    expect(accuracy(lastLine(loaded.stdout))).toBe(accuracy(lastLine(saved.stdout)));
    expect(loaded.stdout.split('\n')).toHaveLength(2);
  });

  it('--load of a file that is something else is a clear error', async () => {
    const file = join(temporaryFolder(), 'model.safetensors');
    writeFileSync(file, 'not a model');
    const { code, stderr } = await train(['--load', file, '--epochs', '0']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error \[TUTTI_FORMAT\]: /);
    expect(stderr).toContain(file);
  });

  it('TUTTI_DEVICE of a missing backend is an error, without fallback', async () => {
    const { code, stdout, stderr } = await train(small, {
      TUTTI_DEVICE: 'cuda',
      TUTTI_CUDA_DRIVER: '/nowhere/libcuda.so.1',
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error \[TUTTI_BACKEND_UNAVAILABLE\]: .*cuda/);
  });

  it('takes a batch larger than the training set', async () => {
    const { code, stdout } = await train([
      '--train',
      '40',
      '--test',
      '200',
      '--epochs',
      '1',
      '--batch',
      '64',
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^epoch 1\/1 {2}step 1\/1 /);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../src/main.ts';

/** Exit code and standard error of a command line. */
async function run(...args: string[]): Promise<{ readonly code: number; readonly stderr: string }> {
  let stderr = '';
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    stderr += String(chunk);
    return true;
  });
  const code = await main(args);
  write.mockRestore();
  return { code, stderr };
}

const train = (...flags: string[]): Promise<{ readonly code: number; readonly stderr: string }> =>
  run('train', 'mnist', ...flags);

describe('arguments that make no sense exit with 2', () => {
  it.each([
    [['--epochs', 'many'], "'--epochs <n>' argument 'many'", 'it is an integer of at least 0'],
    [['--epochs', '1.5'], "'1.5'", 'it is an integer of at least 0'],
    [['--epochs', '-1'], "'-1'", 'it is an integer of at least 0'],
    [['--batch', '0'], "'0'", 'it is an integer from 1 to 60000'],
    [['--train', '60001'], "'60001'", 'it is an integer from 1 to 60000'],
    [['--test', '10001'], "'10001'", 'it is an integer from 1 to 10000'],
    [['--seed', '-3'], "'-3'", 'it is an integer from 0 to 4294967295'],
    [['--lr', '0'], "'0'", 'it is a number above 0'],
    [['--lr', 'NaN'], "'NaN'", 'it is a number above 0'],
    [['--save', ''], "'--save <file>'", 'it is empty'],
  ])('%j', async (flags, message, fix) => {
    const { code, stderr } = await train(...flags);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error \[TUTTI_ARGUMENT\]: /);
    expect(stderr).toContain(message);
    expect(stderr).toContain(`\n  fix: ${fix}\n`);
    expect(stderr).not.toContain('    at ');
  });

  it('an unknown flag, with the one that was meant', async () => {
    const { code, stderr } = await train('--epoch', '2');
    expect(code).toBe(2);
    expect(stderr).toBe("error [TUTTI_ARGUMENT]: unknown option '--epoch'\n  fix: did you mean --epochs?\n");
  });

  it('an unknown flag that is like no other', async () => {
    const { stderr } = await train('--zzzzzzzz');
    expect(stderr).toContain('fix: --help lists what there is');
  });

  it('an unknown command, with the one that was meant', async () => {
    expect(await run('trian')).toEqual({
      code: 2,
      stderr: "error [TUTTI_ARGUMENT]: unknown command 'trian'\n  fix: did you mean train?\n",
    });
  });

  it('an unknown example', async () => {
    const { code, stderr } = await run('train', 'imagenet');
    expect(code).toBe(2);
    expect(stderr).toContain('fix: allowed choices are mnist');
  });

  it('a flag without its value', async () => {
    const { code, stderr } = await train('--device');
    expect(code).toBe(2);
    expect(stderr).toContain("option '--device <id>' argument missing");
  });
});

describe('errors', () => {
  beforeEach(() => vi.stubEnv('TUTTI_CUDA_DRIVER', '/nowhere/libcuda.so.1')); // the machine may have one
  afterEach(() => vi.unstubAllEnvs());

  it('--device of a backend that is not there: says why and what to do, and takes no other', async () => {
    const { code, stderr } = await train('--device', 'cuda');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error \[TUTTI_BACKEND_UNAVAILABLE\]: device cuda is not available: .+\n {2}fix: .+\n$/,
    );
  });

  it('--device of a backend that nobody knows', async () => {
    const { code, stderr } = await train('--device', 'abacus');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error \[TUTTI_BACKEND_UNAVAILABLE\]: .*"abacus"/);
  });

  it('show their stack with --verbose only', async () => {
    expect((await train('--device', 'cuda')).stderr).not.toContain('    at ');
    expect((await run('--verbose', 'train', 'mnist', '--device', 'cuda')).stderr).toContain('    at ');
    expect((await train('--device', 'cuda', '--verbose')).stderr).toContain('    at ');
  });

  it('show their stack with TUTTI_DEBUG', async () => {
    vi.stubEnv('TUTTI_DEBUG', '1');
    expect((await train('--device', 'cuda')).stderr).toContain('    at ');
    vi.stubEnv('TUTTI_DEBUG', '0');
    expect((await train('--device', 'cuda')).stderr).not.toContain('    at ');
  });
});

describe('files are checked before the training starts', () => {
  it.each([
    ['--save', '/no/such/folder/model.safetensors', 'no folder'],
    ['--json', '/no/such/folder/result.json', 'no folder'],
    ['--save', '/', 'this is a folder'],
    ['--load', '/no/such/model.safetensors', 'no such file'],
  ])('%s %s', async (flag, path, message) => {
    const start = vi.spyOn(console, 'log');
    const { code, stderr } = await train(flag, path);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error \[TUTTI_FILE\]: /);
    expect(stderr).toContain(message);
    expect(start).not.toHaveBeenCalled();
    start.mockRestore();
  });
});

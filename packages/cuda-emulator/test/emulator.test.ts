import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { EmulatorSettings } from '../src/index.ts';
import { buildProgram, reasonToSkip, sanitizerVariables, scenario } from './program.ts';

const reason = reasonToSkip();
const sanitizer = sanitizerVariables();
const title = reason ? `the CUDA emulator (not tested: ${reason})` : 'the CUDA emulator';

const tested = new Set<string>();

/** Scenarios of `program/` that pass, with a message on the error stream or without any. */
function passes(cases: readonly (readonly [string, RegExp?])[], settings: EmulatorSettings = {}): void {
  for (const [name, message] of cases) {
    tested.add(name);
    it(name, async () => {
      const { result, messages } = await scenario(name, settings);
      expect(result, messages).toBe('passed');
      if (message) expect(messages).toMatch(message);
      else expect(messages).toBe('');
    });
  }
}

describe.skipIf(reason !== undefined)(title, () => {
  beforeAll(() => buildProgram(), 120_000);

  const right: [string][] = [
    ['saxpy'],
    ['reduction'],
    ['transposition'],
    ['dynamic shared memory'],
    ['votes of a block'],
    ['shuffles'],
    ['votes of a warp'],
    ['mma m16n8k16 f16'],
    ['mma m16n8k16 bf16'],
    ['mma m16n8k8 f16'],
    ['mma m16n8k8 tf32'],
    ['ldmatrix'],
    ['cp.async'],
    ['atomics'],
    ['indices in three dimensions'],
  ];
  describe('right kernels, forward', () => passes(right));
  describe('right kernels, reverse', () => passes(right, { order: 'reverse' }));
  describe('right kernels, shuffled', () => passes(right, { order: 'shuffled', seed: 7 }));

  describe('the dialect', () => passes([['conversions of 16-bit floats'], ['functions of the dialect']]));

  describe('calls', () =>
    passes([
      ['parameters', /1 bytes of parameters for a kernel that takes 72/],
      ['calls with what is not valid', /a copy touches 1025 bytes/],
      ['modules that are none'],
      ['texts that do not compile'],
      ['events'],
      ['capture and replay'],
      ['a capture that is spoiled'],
      ['memory pools'],
      ['pinned memory'],
      ['many launches'],
    ]));

  describe.each(['forward', 'reverse', 'shuffled'] as const)('what lacks something, %s', (order) =>
    passes([['missing barrier'], ['cp.async without a wait']], { order }),
  );

  describe('divergence', () =>
    passes([
      ['divergence: half of the threads at a barrier', /32 wait at the barrier of line 2/],
      ['divergence: threads end before a barrier', /thread \(48, 0, 0\) of block \(0, 0, 0\) has ended/],
      ['divergence: two barriers', /is at the barrier of line 5.*32 wait at the barrier of line 3/],
      ['divergence: a barrier and a shuffle', /16 wait at the barrier of line 3; in warp 0 16 lanes wait/],
      ['divergence: a shuffle with lanes that have ended', /diverge/],
      ['divergence: a lane that its mask does not name', /does not name the thread/],
      ['divergence: different operations of a warp', /in lines 2 and 3/],
    ]));

  describe('memory', () =>
    passes([
      ['memory: within'],
      [
        'memory: one element behind the end',
        /kernel_main: memory was written directly behind the end.*parameter 0/,
      ],
      [
        'memory: one element behind the end, by a table',
        /kernel_main: memory was written directly behind the end.*parameter 0/,
      ],
      ['memory: before the start', /4 bytes before the start/],
      ['memory: far behind the end', /an access/],
      ['memory: a read far behind the end', /an access/],
      ['memory: a null pointer', /null pointer/],
      ['memory: an index that nobody wrote', /no address/],
      ['memory: a misaligned vector', /thread \(0, 0, 0\) of block \(0, 0, 0\): a misaligned access/],
      ['memory: after the release', /an allocation of 400 bytes that was released/],
      ['a division by zero', /division by zero/],
      ['a stack that is too small', /do not fit its stack/],
      ['a trap', /__trap\(\) in line 2/],
      ['ldmatrix of a misaligned row', /multiple of 16 bytes/],
      ['cp.async into what is not shared', /not in shared memory/],
      ['a write behind dynamic shared memory', /wrote behind its 256 bytes/],
    ]));

  describe('lazy streams', () => {
    passes(
      [
        ['an event between streams'],
        ['a missing event'],
        ['a lazy stream that is asked'],
        ['many launches'],
        ['capture and replay'],
      ],
      { streams: 'lazy' },
    );
    passes([['memory: in another stream, before it is made', /was made in the order of its stream/]], {
      streams: 'lazy',
    });
  });
  // The second stream that is made is the third of its context.
  describe('a slow stream', () =>
    passes([['an event between streams'], ['a missing event']], {
      faults: { slowStream: { stream: 2, milliseconds: 100 } },
    }));

  describe('settings', () => {
    passes(
      [
        ['a loop that does not end', /the kernel does not end/],
        ['a thread that waits for another in vain', /the kernel does not end/],
      ],
      { timeout: 1 },
    );
    passes([['two devices']], { devices: 2 });
    passes([['the limit of memory']], { memory: 1_000_000 });
    passes([['the description of a device']], { capability: 86 });
    passes(
      [['what is left behind', /1 allocations\n.*1 allocations of pinned memory\n.*1 streams\n.*1 modules/]],
      {
        leaks: true,
      },
    );
    it('keeps compiled kernels', async () => {
      const cache = mkdtempSync(join(tmpdir(), 'tutti-emulator-cache-'));
      try {
        expect(await scenario('saxpy', { cache })).toEqual({ result: 'passed', messages: '' });
        expect(readdirSync(cache)).toHaveLength(1);
        expect(await scenario('saxpy', { cache })).toEqual({ result: 'passed', messages: '' });
        expect(readdirSync(cache)).toHaveLength(1);
      } finally {
        rmSync(cache, { recursive: true });
      }
    });
  });

  describe('faults', () => {
    passes([['fault no-device']], { faults: { noDevice: true } });
    passes([['fault init']], { faults: { init: 803 } });
    passes([['fault driver-version']], { faults: { driverVersion: 11080 } });
    passes([['fault context']], { faults: { context: 46 } });
    passes([['fault no-pools']], { faults: { noPools: true } });
    passes([['fault allocate']], { faults: { allocate: 2 } });
    passes([['fault pinned']], { faults: { pinned: 1 } });
    // The first is the stream of the session.
    passes([['fault create']], { faults: { create: 2 } });
    passes([['fault launch']], { faults: { launch: 2 } });
    passes([['fault launch-failure']], { faults: { launchFailure: 2 } });
    passes([['fault illegal-address']], { faults: { illegalAddress: 2 } });
    passes([['fault module']], { faults: { module: 1 } });
    passes([['fault graph']], { faults: { graph: 1 } });
    passes([['fault compile']], { faults: { compile: 2 } });
  });

  describe('cuBLASLt', () => {
    passes([
      ['cuBLASLt: batched, transposed, with alpha and beta'],
      ['cuBLASLt: epilogues'],
      ['cuBLASLt: bfloat16 and TF32'],
      ['cuBLASLt: in a graph'],
      [
        'cuBLASLt: what it cannot do',
        /no algorithm for these shapes.*no algorithm for this epilogue.*out of bounds/s,
      ],
      ['cuBLASLt: a bias out of bounds', /a matmul touches memory out of bounds/],
    ]);
    passes([['cuBLASLt: faults']], { faults: { blasHeuristic: 1, blas: 1 } });
  });

  describe.skipIf(sanitizer === undefined)(
    sanitizer ? 'AddressSanitizer' : 'AddressSanitizer (not tested: g++ has none)',
    () => {
      const run = (name: string) => scenario(name, { sanitize: true }, sanitizer);
      it.each([
        'saxpy',
        'reduction',
        'dynamic shared memory',
        'mma m16n8k16 f16',
        'divergence: two barriers',
      ])('lets pass: %s', async (name) => expect((await run(name)).result).toBe('passed'));
      it.each([
        ['memory: one element behind the end', /heap-buffer-overflow/],
        ['memory: a read one element behind the end', /heap-buffer-overflow/],
        ['memory: after the release', /heap-use-after-free/],
        ['a read between static shared arrays', /global-buffer-overflow/],
        ['a write behind dynamic shared memory', /use-after-poison/],
      ])('finds: %s', async (name, message) => {
        const { result, messages } = await run(name);
        expect(result).toBe('ended with 1');
        expect(messages).toMatch(message);
        expect(messages).toMatch(
          /kernel_main, thread \(.*\) of block \(0, 0, 0\): see what AddressSanitizer says/,
        );
      });
      tested.add('memory: a read one element behind the end').add('a read between static shared arrays');
    },
  );

  it('leaves no temporary files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tutti-emulator-test-'));
    try {
      expect((await scenario('texts that do not compile', {}, { TMPDIR: folder })).result).toBe('passed');
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('runs every scenario that there is', async () => {
    const program = await buildProgram();
    const names = execFileSync(program, [], { encoding: 'utf8' }).trim().split('\n');
    expect([...tested].sort()).toEqual(names.sort());
  });
});

/** Products of the library, on a device that only remembers. */
import { dispatch } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import type { CudaProgram, ProductStage } from '../src/program.ts';
import { nativeError } from './support/fake.ts';
import { fakeBackend, loaded } from './support/fake-backend.ts';
import { increment } from './support/programs.ts';

/** `c = a * b + d` by the library, for matrices of 2 x 2; without it, another program. */
function libraryProgram(): CudaProgram {
  const operand = { transposed: false, leading: 2, batchStride: 0, alignment: 8 };
  const stage: ProductStage = {
    kind: 'product',
    product: {
      operandType: 'float32',
      resultType: 'float32',
      tf32: false,
      batches: 1,
      m: 2,
      n: 2,
      k: 2,
      lhs: operand,
      rhs: operand,
      resultAlignment: 256,
      bias: true,
      workspaceBytes: 512,
    },
    lhs: { kind: 'buffer', index: 0, byteOffset: 8 },
    rhs: { kind: 'buffer', index: 1 },
    result: { kind: 'buffer', index: 2 },
    bias: { kind: 'buffer', index: 3 },
    scratch: { kind: 'workspace', byteOffset: 256 },
  };
  return { ...increment(4), name: 'product', stages: [stage], workspaceBytes: 768, otherwise: increment(6) };
}

describe('a product of the library', () => {
  it('is a command, and prepared once', async () => {
    const { backend, words, since } = fakeBackend();
    const executable = await loaded(backend, libraryProgram());
    await loaded(backend, libraryProgram());
    expect(since()).toEqual(['prepareProduct']);
    expect(executable.functions).toEqual([]);
    const buffers = Array.from({ length: 4 }, () => backend.allocate(64));
    backend.submit([dispatch(executable, buffers)]);
    const given = words();
    expect(given.slice(0, 3)).toEqual([3, 13, 5]);
    const at = [3, 5, 7, 9, 11].map((i) => given[i]! + given[i + 1]! * 2 ** 32);
    // Buffers lie at multiples of 256.
    expect(at.map((each) => each % 256)).toEqual([8, 0, 0, 0, 0]);
    expect(new Set(at).size).toBe(5);
  });
});

describe('a product that the library does not prepare', () => {
  it('is left to another program, which says why', async () => {
    const { backend, since, fail } = fakeBackend();
    fail('prepareProduct', nativeError('CUBLAS_STATUS_NOT_SUPPORTED', 'nothing for this'));
    const executable = await loaded(backend, libraryProgram());
    expect(since()).toEqual(['loadModule', 'getFunction entry 0']);
    expect(executable.functions).toEqual([9]);
    expect(executable.source()).toMatch(
      /^\/\/ without cuBLASLt, which has nothing for it: nothing for this\n/,
    );
    // The library is not asked again.
    await loaded(backend, libraryProgram());
    expect(since()).toEqual(['getFunction entry 0']);
  });

  it('for want of memory gets that which is kept, and may be asked for again', async () => {
    const { backend, since, fail } = fakeBackend();
    backend.free(backend.allocate(512));
    since();
    fail('prepareProduct', nativeError('CUBLAS_STATUS_ALLOC_FAILED'));
    await loaded(backend, libraryProgram());
    expect(since()).toEqual(['free', 'trim', 'prepareProduct']);
    const other = fakeBackend();
    other.fail('prepareProduct', nativeError('CUBLAS_STATUS_ALLOC_FAILED'), 2);
    const executable = other.backend.load(libraryProgram());
    await expect(executable.ready).rejects.toMatchObject({ code: 'TUTTI_OUT_OF_MEMORY' });
    await executable.ready;
    expect(other.since().at(-1)).toBe('prepareProduct');
  });

  it('for another reason is a failure', async () => {
    const { backend, fail } = fakeBackend();
    fail('prepareProduct', nativeError('INVALID_ARGUMENT', 'product: an extent is 0'));
    await expect(backend.load(libraryProgram()).ready).rejects.toMatchObject({ code: 'TUTTI_KERNEL' });
  });
});

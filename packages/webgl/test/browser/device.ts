/** Devices for pages. One that is not there fails the test. */
import type { DeviceBuffer } from '@tutti/core/backend';
import { WebglBackend } from '../../src/backend.ts';
import type { GlslProgram, GlslStage } from '../../src/program.ts';
import { GlContext } from '../../src/runtime/context.ts';
import type { Ownership } from '../../src/runtime/failures.ts';
import { type ContextCanvas, findContext, isAbsent } from '../../src/runtime/find.ts';

/** Programs come from the tests. */
const noGenerators = {
  compileKernel: () => {
    throw new Error('this page compiles no kernels');
  },
};

export function newContext(canvas?: ContextCanvas): WebGL2RenderingContext {
  const gl = findContext(canvas, undefined);
  if (isAbsent(gl)) throw new Error(`WebGL must run here: ${gl.reason}`);
  return gl;
}

export interface TestDevice {
  readonly gl: WebGL2RenderingContext;
  readonly context: GlContext;
  readonly backend: WebglBackend;
}

export function makeOn(gl: WebGL2RenderingContext, ownership: Ownership, programs?: number): TestDevice {
  const context = new GlContext(gl, ownership);
  return { gl, context, backend: new WebglBackend(context, noGenerators, programs) };
}

export const make = (programs?: number): TestDevice => makeOn(newContext(), 'own', programs);

export function uploadBytes(backend: WebglBackend, bytes: Uint8Array): DeviceBuffer {
  const buffer = backend.allocate(bytes.length);
  backend.write(buffer, bytes);
  return buffer;
}

/** A program of one stage, which stores to the last of its buffers. */
export function program(
  name: string,
  code: string,
  inputs: readonly number[],
  output: number,
  texels: number,
  rest: Partial<GlslProgram> & { readonly operations?: number } = {},
): GlslProgram {
  const { operations = 10, ...others } = rest;
  const stage: GlslStage = {
    code,
    inputs: inputs.map((index) => ({ kind: 'buffer', index })),
    outputs: [{ kind: 'buffer', index: output }],
    texels,
    operations,
  };
  return { name, stages: [stage], scalarTypes: [], scratch: [], source: () => code, ...others };
}

/** `b[i] = a[i] * 3 + scalar`, wrapping, after `turns` turns that change nothing for any scalar but the largest. */
export const affine = (texels: number, turns = 1, operations = 10): GlslProgram =>
  program(
    'affine',
    `uvec4 texel(int index) {
  uvec4 x = fetch(t0, index);
  for (int turn = 0; turn < ${turns}; turn++) {
    if (x.x == uint(turn) && s0 == 0x7fffffff) { x = x * 5u + 1u; }
  }
  return x * 3u + uint(s0);
}`,
    [0],
    1,
    texels,
    { scalarTypes: ['i32'], operations },
  );

/** `a[i] += by` */
export const increment = (texels: number, by = 1): GlslProgram =>
  program('increment', `uvec4 texel(int index) { return fetch(t0, index) + ${by}u; }`, [0], 0, texels);

export const failure = async (action: () => unknown): Promise<{ code?: string; message?: string }> => {
  try {
    await action();
    return {};
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
};

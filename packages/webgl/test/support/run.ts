/** Runs kernels in a page of Chromium, which is opened once for a file of tests. */
import { type Kernel, printKernel } from '@tutti/core/backend';
import { type BufferContents, bufferContents, type KernelCase } from '@tutti/core/testing';
import { expect } from 'vitest';
import { compileKernel } from '../../src/kernels/index.ts';
import type { GlslProgram, ShaderFeatures } from '../../src/program.ts';
import { fromHex, toHex, toText } from '../browser/encoding.ts';
import type { Checks } from '../browser/page.ts';
import { pageOf } from './page.ts';

const { ask } = pageOf<Checks>('index');

/** What the context of the page offers. */
export const pageFeatures = (): Promise<ShaderFeatures> => ask('features');

export interface ProgramCase {
  readonly program: GlslProgram;
  /** What the buffers of the result are. */
  readonly buffers: Kernel['buffers'];
  readonly contents: readonly BufferContents[];
  readonly scalars?: readonly number[];
}

const bytesOf = (contents: BufferContents): Uint8Array =>
  new Uint8Array(contents.buffer, contents.byteOffset, contents.byteLength);

/** All buffers of each program after it has run, in the order of the cases. Throws for one that does not run, with its GLSL. */
export async function runPrograms(cases: readonly ProgramCase[]): Promise<BufferContents[][]> {
  const outcomes = await ask(
    'run',
    cases.map(({ program, contents, scalars = [] }) => ({
      program: {
        name: program.name,
        stages: program.stages,
        scalarTypes: program.scalarTypes,
        scratch: program.scratch,
      },
      buffers: contents.map((each) => toHex(bytesOf(each))),
      scalars: scalars.map(toText),
    })),
  );
  return outcomes.map((outcome, i) => {
    if ('error' in outcome) throw new Error(`${outcome.error}\n${outcome.received}`);
    return cases[i]!.buffers.map(({ dtype, length }, k) => {
      const contents = bufferContents(dtype, length);
      bytesOf(contents).set(fromHex(outcome.buffers[k]!).subarray(0, contents.byteLength));
      return contents;
    });
  });
}

/**
 * Runs what the renderer makes of cases, all in one go, and says of each what is wrong with it.
 *
 * @param planned What a case is planned for where that is not the context of the page.
 */
export async function checkKernels(
  cases: readonly KernelCase[],
  planned: (index: number) => Partial<ShaderFeatures> = () => ({}),
): Promise<void> {
  const features = await pageFeatures();
  const made = cases.map(({ kernel, contents, scalars }, i) => ({
    program: compileKernel(kernel, { ...features, ...planned(i) }),
    buffers: kernel.buffers,
    contents: contents(),
    scalars,
  }));
  const results = await runPrograms(made);
  const wrong = cases.flatMap(({ kernel, check }, i) => {
    const found = check(results[i]!);
    return found ? [`${found}\n${printKernel(kernel)}\n${made[i]!.program.source()}`] : [];
  });
  if (wrong.length > 0)
    expect.fail(`${wrong.length} of ${cases.length} are wrong\n${wrong.slice(0, 5).join('\n\n')}`);
}

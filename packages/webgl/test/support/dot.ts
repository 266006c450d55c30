/** Runs products and compares them with what they must give. */
import type { DotAnchor } from '@tutti/core/backend';
import {
  type BufferContents,
  type DotOptions,
  dotBuffers,
  dotReference,
  dotScalar,
  readElement,
} from '@tutti/core/testing';
import { expect } from 'vitest';
import type { GlslProgram } from '../../src/program.ts';
import { runPrograms } from './run.ts';

export interface DotCase {
  readonly anchor: DotAnchor;
  readonly options: DotOptions;
  readonly program: GlslProgram;
}

/** Runs programs on small integers, whose sums are exact in any order, and compares all elements. */
export async function checkDots(cases: readonly DotCase[], random: () => number): Promise<void> {
  const made = cases.map(({ anchor, program }) => {
    const small = (): number => Math.floor(random() * 9) - (anchor.type === 'u32' ? 0 : 4);
    const scalars = anchor.scalars.map(() => dotScalar);
    return { program, buffers: anchor.buffers, contents: dotBuffers(anchor, small), scalars };
  });
  const results = await runPrograms(made);
  for (const [i, { anchor, options, program }] of cases.entries()) {
    const want = dotReference(anchor, made[i]!.contents, options);
    const wrong = difference(anchor, results[i]![2]!, want);
    if (wrong)
      expect.fail(
        `${JSON.stringify({ ...anchor, epilogue: undefined })}\n${JSON.stringify(options)}\n${wrong}\n${program.source()}`,
      );
  }
}

/** The first elements of the result that are not as they should be. */
function difference({ buffers }: DotAnchor, got: BufferContents, want: BufferContents): string | undefined {
  const { dtype, length } = buffers[2]!;
  const wrong: string[] = [];
  for (let i = 0; i < length; i++) {
    const [a, b] = [readElement(dtype, got, i), readElement(dtype, want, i)];
    if (a !== b && !(Number.isNaN(a) && Number.isNaN(b))) wrong.push(`${i}: ${a}, not ${b}`);
  }
  return wrong.length === 0 ? undefined : `${wrong.length} wrong: ${wrong.slice(0, 8).join('; ')}`;
}

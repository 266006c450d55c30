/** Runs convolutions and compares them with what they must give. */
import type { ConvAnchor } from '@tutti/core/backend';
import { type ConvCase, convDifference } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { GlslProgram } from '../../src/program.ts';
import { runPrograms } from './run.ts';

const text = ({ kind: _k, name: _n, buffers: _b, type: _t, epilogue: _e, ...rest }: ConvAnchor): string =>
  JSON.stringify(rest);

export async function checkConvs(
  cases: readonly { readonly example: ConvCase; readonly program: GlslProgram }[],
): Promise<void> {
  const results = await runPrograms(
    cases.map(({ example: { anchor, buffers, scalars }, program }) => ({
      program,
      buffers: anchor.buffers,
      contents: buffers,
      scalars,
    })),
  );
  for (const [i, { example, program }] of cases.entries()) {
    const wrong = convDifference(example, results[i]!);
    if (wrong) expect.fail(`${wrong}\n${text(example.anchor)}\n${program.source()}`);
  }
}

/** Runs routines in the page and compares what they make with what they must make. */
import type { AnchorCase } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { GlslProgram } from '../../src/program.ts';
import { runPrograms } from './run.ts';

export interface RoutineRun {
  readonly example: AnchorCase;
  readonly program: GlslProgram;
}

/** Runs them all in one go, and shows those that are wrong. */
export async function checkRoutines(runs: readonly RoutineRun[]): Promise<void> {
  const results = await runPrograms(
    runs.map(({ example: { anchor, contents, scalars }, program }) => ({
      program,
      buffers: anchor.buffers,
      contents: contents(),
      scalars,
    })),
  );
  const wrong = runs.flatMap(({ example: { anchor, check }, program }, i) => {
    const found = check(results[i]!);
    const text = JSON.stringify({ ...anchor, buffers: undefined, epilogue: undefined });
    return found ? [`${found}\n${text}\n${program.source()}`] : [];
  });
  if (wrong.length > 0)
    expect.fail(`${wrong.length} of ${runs.length} are wrong\n${wrong.slice(0, 3).join('\n\n')}`);
}

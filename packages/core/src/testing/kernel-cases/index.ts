/** Kernels that every backend's renderer is tested with. */
import { aluCases, aluConstantCases, aluItselfCases } from './alu.ts';
import type { KernelCase } from './case.ts';
import { byteTransposeCases, coverCases, gatherCases, movedCases, orderedCases } from './elements.ts';
import { halfCases, narrowStoreCases } from './narrow.ts';
import {
  firstExtremeCases,
  longReductionCases,
  longSumCases,
  loopCases,
  reductionCases,
} from './reductions.ts';
import { rowCases, scatterCases, softmaxCases } from './rows.ts';

export * from './alu.ts';
export * from './builder.ts';
export * from './case.ts';
export * from './compare.ts';
export * from './elements.ts';
export * from './joint.ts';
export * from './math.ts';
export * from './narrow.ts';
export * from './reductions.ts';
export * from './rows.ts';

/** All but those of inexact functions (`mathCases`) and random ones (`randomCase`). */
export const kernelCases = (): KernelCase[] => [
  ...aluCases(),
  ...aluConstantCases(),
  ...aluItselfCases(),
  ...halfCases(),
  ...narrowStoreCases(),
  ...orderedCases(),
  ...movedCases(),
  ...gatherCases(),
  ...coverCases(),
  ...byteTransposeCases(),
  ...reductionCases(),
  ...longReductionCases(),
  ...firstExtremeCases(),
  ...longSumCases(),
  ...loopCases(),
  ...rowCases(),
  ...softmaxCases(),
  ...scatterCases(),
];

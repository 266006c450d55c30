import type { CudaFeatures } from '../src/program.ts';
import type { Unit } from './assemble.mjs';

/** The modules of routines. */
export interface RoutineModules {
  readonly dot: typeof import('../src/routines/dot.ts');
  readonly plan: typeof import('../src/routines/dot-plan.ts');
  readonly conv: typeof import('../src/routines/conv.ts');
  readonly attention: typeof import('../src/routines/attention.ts');
  readonly attentionGradient: typeof import('../src/routines/attention-gradient.ts');
}

export interface RoutineUnit extends Unit {
  /** Bytes of dynamic shared memory. */
  readonly dynamic: number;
}

/** A kernel of each variant that a GPU can run, for large operands. */
export function routineUnits(
  routines: RoutineModules,
  testing: typeof import('@tutti/core/testing'),
  features: CudaFeatures,
): RoutineUnit[];

/** Which loads and stores of a phase can be packs of neighbouring elements, and of how many. */
import {
  dtypeInfo,
  type Expression,
  type IndexAnalysis,
  type IndexVariable,
  type LoadExpression,
  operands,
  type Phase,
  rootsOf,
  type Store,
  weightOf,
} from '@tutti/core/backend';
import type { KernelParameters } from './kernel-text.ts';

export interface LanePlan {
  readonly phase: Phase;
  readonly variable: IndexVariable;
  readonly width: number;
  /** Loads and stores of all lanes at once. */
  readonly loads: ReadonlySet<LoadExpression>;
  readonly stores: ReadonlySet<Store>;
}

/** Bytes of one access. */
const mostBytes = 16;

const isPacked = (index: Expression, variable: IndexVariable, width: number, analysis: IndexAnalysis) =>
  analysis.isAligned(index, variable, width, width);

interface Accesses {
  readonly loads: readonly LoadExpression[];
  readonly stores: readonly Store[];
}

/** `isKnown`: values that are not computed here. */
function accessesOf(phase: Phase, isKnown: (e: Expression) => boolean): Accesses {
  const loads: LoadExpression[] = [];
  const roots = rootsOf(phase);
  const seen = new Set<Expression>();
  const visit = (e: Expression): void => {
    if (seen.has(e) || isKnown(e)) return;
    seen.add(e);
    if (e.op === 'load') loads.push(e);
    for (const operand of operands(e)) visit(operand);
  };
  for (const root of roots) visit(root);
  return { loads, stores: phase.kind === 'map' ? phase.stores : [] };
}

/**
 * How many lanes a phase is best run by: as many as make 16 bytes of its widest elements, or of what its indices are aligned to. 1 where
 * less than half of the accesses that move with the variable could be packed.
 */
export function laneWidth(
  phase: Phase,
  variable: IndexVariable | undefined,
  { buffers }: KernelParameters,
  analysis: IndexAnalysis,
  isKnown: (e: Expression) => boolean = () => false,
): number {
  if (!variable || (phase.kind === 'map' && phase.order === 'sequential')) return 1;
  const { loads, stores } = accessesOf(phase, isKnown);
  const accesses = [...loads, ...stores].filter(({ index }) => analysis.stride(index, variable) !== 0);
  const along = accesses.filter(({ index }) => analysis.stride(index, variable) === 1);
  if (along.length === 0 || 2 * along.length < accesses.length) return 1;
  const widest = Math.max(...along.map(({ buffer }) => dtypeInfo[buffers[buffer]!.dtype].bytes));
  // Values of all lanes are alive at once.
  const weight = weightOf(rootsOf(phase));
  const most = Math.min(mostBytes / widest, weight > 200 ? 2 : weight > 100 ? 4 : 16);
  for (let width = most; width > 1; width /= 2) {
    const packed = along.filter(
      (access) =>
        isPacked(access.index, variable, width, analysis) && !guardMoves(access, variable, analysis),
    );
    if (2 * packed.length >= accesses.length) return width;
  }
  return 1;
}

function guardMoves(
  { guard }: LoadExpression | Store,
  variable: IndexVariable,
  analysis: IndexAnalysis,
): boolean {
  return guard !== undefined && analysis.stride(guard, variable) !== 0;
}

/** Bytes that memory moves at least. */
const sectorBytes = 32;
/** Points side by side that stores of a warp should reach. */
const leastRun = 16;

/**
 * Lanes for a transposition: neighbouring threads store neighbouring elements, but what they load lies side by side along another
 * variable. With lanes along that one, each thread loads a whole sector of memory, and all stores of a lane lie side by side.
 */
export function crossLanes(
  phase: Phase,
  space: readonly IndexVariable[],
  parameters: KernelParameters,
  analysis: IndexAnalysis,
): LanePlan | undefined {
  const long = space.filter(({ extent }) => extent > 1);
  const inner = long.at(-1);
  const { loads, stores } = accessesOf(phase, () => false);
  const isSideBySide = stores.every(({ index }) => inner && analysis.stride(index, inner) === 1);
  if (!inner || inner.extent < leastRun || !isSideBySide) return undefined;
  const crossing = loads.filter(({ index }) => ![0, 1].includes(analysis.stride(index, inner) ?? 0));
  const bytes = Math.max(...crossing.map(({ buffer }) => dtypeInfo[parameters.buffers[buffer]!.dtype].bytes));
  const most = weightOf(rootsOf(phase)) > 60 ? 4 : Math.min(16, sectorBytes / bytes);
  for (const variable of long.slice(0, -1)) {
    for (let width = most; width > 1; width /= 2) {
      if (variable.extent % width !== 0) continue;
      const plan = planLanes(phase, variable, width, parameters, analysis, undefined, sectorBytes);
      if (crossing.length > 0 && crossing.every((load) => plan.loads.has(load))) return plan;
    }
  }
  return undefined;
}

export function planLanes(
  phase: Phase,
  variable: IndexVariable,
  width: number,
  { buffers }: KernelParameters,
  analysis: IndexAnalysis,
  isKnown: (e: Expression) => boolean = () => false,
  most: number = mostBytes,
): LanePlan {
  const { loads, stores } = accessesOf(phase, isKnown);
  const fits = (access: LoadExpression | Store): boolean =>
    width * dtypeInfo[buffers[access.buffer]!.dtype].bytes <= most &&
    isPacked(access.index, variable, width, analysis) &&
    !guardMoves(access, variable, analysis);
  return {
    phase,
    variable,
    width,
    loads: new Set(loads.filter(fits)),
    stores: new Set(stores.filter((store) => store.mode === 'set' && fits(store))),
  };
}

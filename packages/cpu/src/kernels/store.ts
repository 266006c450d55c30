/** The stores of a map phase, for one copy of its body. */
import { type DType, dtypeInfo, type Store } from '@tutti/core/backend';
import type { Code, Emit } from './code.ts';
import type { Access } from './lens.ts';
import {
  loadContiguous,
  loadLanes,
  loadScalar,
  type Spot,
  scalarTypeOf,
  storeContiguous,
  storeLanes,
  storeScalar,
} from './memory.ts';
import type { Region } from './region.ts';
import { scalarAlu, valueTypeOf } from './scalar-alu.ts';
import { extractLane, vectorAlu } from './vector-alu.ts';

/**
 * Stores of one iteration. With more than one, all values are computed before the first is stored: expressions speak of the memory
 * before the iteration.
 */
export function emitStores(region: Region, stores: readonly Store[], copy: number): void {
  const { code } = region.frame;
  const { lens } = region;
  const several = stores.length > 1;
  const pending = stores.map((store) => {
    const use = lens.use(store.value);
    const value = region.value(use, copy);
    const guardUse = store.guard && lens.control(store.guard);
    const guard = guardUse && region.value(guardUse, copy);
    const access = lens.access(store.buffer, store.index);
    const keptType = use.form === 'scalar' ? valueTypeOf(store.value.type) : 'v128';
    return {
      store,
      access,
      value: several ? code.keep(value, keptType) : value,
      guard: guard && several ? code.keep(guard, guardUse!.form === 'vector' ? 'v128' : 'i32') : guard,
      guardVaries: guardUse?.form === 'vector',
      spots: several && lens.vector ? region.spots(access, copy) : undefined,
    };
  });
  for (const { store, access, value, guard, guardVaries, spots } of pending) {
    const dtype = lens.graph.places[store.buffer]!.dtype;
    const write = lens.vector
      ? (mask?: Emit) => writeVector({ region, store, dtype, access, copy, spots }, value, mask)
      : () => writeScalar(code, store, dtype, region.spot(access, copy), value);
    if (!guard) write();
    else if (guardVaries) write(guard);
    else {
      guard();
      code.fn.if();
      write();
      code.fn.end();
    }
  }
}

/** `current op value`, as the store's mode says. */
function combined(
  code: Code,
  store: Store,
  dtype: DType,
  shape: 'scalar' | 'vector',
  current: Emit,
  value: Emit,
): Emit {
  const type = scalarTypeOf(dtype);
  const alu = type === 'bool' ? 'or' : store.mode === 'add' ? 'add' : 'max';
  const operand = { op: 'scalar', type, param: 0 } as const; // only its type matters: the value is passed beside it
  const expression = { op: 'alu', alu, type, args: [operand, operand] } as const;
  return shape === 'vector'
    ? vectorAlu(code, expression, [current, value], false)
    : scalarAlu(code, expression, [current, value]);
}

function writeScalar(code: Code, store: Store, dtype: DType, spot: Spot, value: Emit): void {
  if (store.mode === 'set') {
    storeScalar(code, dtype, spot, value);
    return;
  }
  const fixed = { address: code.keep(spot.address, 'i32'), offset: spot.offset };
  storeScalar(
    code,
    dtype,
    fixed,
    combined(code, store, dtype, 'scalar', loadScalar(code, dtype, fixed), value),
  );
}

interface VectorTarget {
  readonly region: Region;
  readonly store: Store;
  readonly dtype: DType;
  readonly access: Access;
  readonly copy: number;
  readonly spots: readonly Spot[] | undefined;
}

function writeVector(target: VectorTarget, value: Emit, mask?: Emit): void {
  const { code } = target.region.frame;
  const contiguous = target.access.kind === 'walk' && target.access.step === dtypeInfo[target.dtype].bytes;
  if (!mask) {
    (contiguous ? writeContiguous : writeLanes)(target, value);
    return;
  }
  const kept = code.keep(value);
  const lanes = code.keep(mask);
  const only = (lane: number) => extractLane(code, lanes, 'i32', lane);
  if (!contiguous) {
    writeLanes(target, kept, only);
    return;
  }
  code.op('i32x4.all_true', lanes)();
  code.fn.if();
  writeContiguous(target, kept);
  code.fn.else();
  writeLanes(target, kept, only);
  code.fn.end();
}

function writeContiguous({ region, store, dtype, access, copy, spots }: VectorTarget, value: Emit): void {
  const { code } = region.frame;
  const spot = spots?.[0] ?? region.spot(access, copy);
  if (store.mode === 'set') {
    storeContiguous(code, dtype, spot, value);
    return;
  }
  const fixed = { address: code.keep(spot.address, 'i32'), offset: spot.offset };
  storeContiguous(
    code,
    dtype,
    fixed,
    combined(code, store, dtype, 'vector', loadContiguous(code, dtype, fixed), value),
  );
}

function writeLanes(
  { region, store, dtype, access, copy, spots }: VectorTarget,
  value: Emit,
  only?: (lane: number) => Emit,
): void {
  const { code } = region.frame;
  const places = spots ?? region.spots(access, copy);
  const result =
    store.mode === 'set'
      ? value
      : combined(code, store, dtype, 'vector', loadLanes(code, dtype, places, only), value);
  storeLanes(code, dtype, places, code.keep(result), only);
}

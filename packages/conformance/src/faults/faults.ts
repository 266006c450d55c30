/** The faults: mistakes that real backends have made, each planted by rewriting a kernel or tampering with the device. */
import {
  type AluExpression,
  type AluOp,
  type Anchor,
  type Backend,
  type Command,
  type DeviceBuffer,
  type Expression,
  type ExpressionBuilder,
  type Kernel,
  operands,
  type Program,
} from '@tutti/core/backend';
import type { Rewrites } from './rewrite.ts';

/** What a fault changes about a device; everything else is the device's own. */
export interface Fault {
  /** What is wrong, in a few words. */
  readonly name: string;
  readonly rewrites?: Rewrites;
  readonly anchor?: (anchor: Anchor) => Anchor;
  /** Made anew for each device. */
  readonly device?: (
    inner: Backend,
    kernelOf: (program: Program) => Kernel | undefined,
  ) => Partial<Pick<Backend, 'read' | 'readSync' | 'write' | 'submit' | 'free'>>;
  /** Only devices with routines can have it. */
  readonly needsRoutines?: boolean;
}

const isF32 = (e: AluExpression): boolean => e.args[0]!.type === 'f32';

/** A fault in one operation on values, never in index arithmetic. */
const inOperation = (
  name: string,
  applies: (e: AluExpression) => boolean,
  wrong: (e: AluExpression, build: ExpressionBuilder) => Expression,
): Fault => ({
  name,
  rewrites: { alu: (e, build, place) => (place === 'value' && applies(e) ? wrong(e, build) : e) },
});

const asFloat = (build: ExpressionBuilder, x: Expression): Expression => build.alu('cast', 'f32', x);

/** The value with the bits of `mask` only. */
const masked = (build: ExpressionBuilder, x: Expression, mask: number): Expression =>
  build.alu(
    'bitcast',
    'f32',
    build.alu('and', 'u32', build.alu('bitcast', 'u32', x), build.const('u32', mask)),
  );

const swapped: Fault = inOperation(
  'swapped operands',
  (e) => isF32(e) && ['sub', 'div', 'pow'].includes(e.alu),
  (e, build) => build.alu(e.alu, e.type, ...[...e.args].reverse()),
);

const swallowedNaN: Fault = inOperation(
  'NaN swallowed by max and min',
  (e) => isF32(e) && (e.alu === 'max' || e.alu === 'min'),
  (e, build) => {
    const [a, b] = e.args as [Expression, Expression];
    const unequal = (x: Expression): Expression => build.alu('ne', 'bool', x, x);
    return build.alu('where', 'f32', unequal(a), b, build.alu('where', 'f32', unequal(b), a, e));
  },
);

const nanInReduction: Fault = {
  name: 'NaN swallowed by a maximum over an axis',
  rewrites: {
    reduce: (phase, build) => ({
      ...phase,
      accumulators: phase.accumulators.map((a) => {
        if (a.op !== 'max' || a.type !== 'f32') return a;
        const unequal = build.alu('ne', 'bool', a.value, a.value);
        return {
          ...a,
          value: build.alu('where', 'f32', unequal, build.const('f32', Number.NEGATIVE_INFINITY), a.value),
        };
      }),
    }),
  },
};

const wrongStride: Fault = {
  name: 'wrong stride',
  rewrites: {
    load: (e, build) => {
      const index = e.index;
      const shrink = (part: Expression): Expression => {
        if (part.op !== 'alu' || part.type !== 'i32') return part;
        const [a, b] = part.args as [Expression, Expression];
        if (part.alu === 'mul' && b.op === 'const' && b.value > 1)
          return build.alu('mul', 'i32', a, build.int(b.value - 1));
        return part.alu === 'add' ? build.alu('add', 'i32', shrink(a), b) : part;
      };
      return build.load(e.type, e.buffer, shrink(index), e.guard);
    },
  },
};

const missingLast: Fault = {
  name: 'last element missing',
  rewrites: {
    store: (store, build, kernel) => {
      const { length } = kernel.buffers[store.buffer]!;
      if (length < 2) return store;
      const inside = build.alu('ne', 'bool', store.index, build.int(length - 1));
      return { ...store, guard: store.guard ? build.alu('and', 'bool', store.guard, inside) : inside };
    },
  },
};

/** Reductions whose last term counts for nothing. */
const lastTermLost: Fault = {
  name: 'reduction one short',
  rewrites: {
    reduce: (phase, build) => {
      const last = phase.loops[phase.loops.length - 1];
      if (!last || last.extent < 2) return phase;
      const inside = build.alu('lt', 'bool', build.index(last), build.int(last.extent - 1));
      return {
        ...phase,
        accumulators: phase.accumulators.map((a) =>
          a.op === 'sum'
            ? { ...a, value: build.alu('where', a.type, inside, a.value, build.const(a.type, 0)) }
            : a,
        ),
      };
    },
  },
};

const dependsOn = (e: Expression, name: Expression): boolean =>
  e === name || operands(e).some((part) => dependsOn(part, name));

const wrongBroadcast: Fault = {
  name: 'wrong broadcast',
  rewrites: {
    load: (e, build, kernel) => {
      const inner = kernel.space[kernel.space.length - 1];
      const { length } = kernel.buffers[e.buffer]!;
      if (!inner || length < 2 || dependsOn(e.index, build.index(inner))) return e;
      const shifted = build.alu(
        'rem',
        'i32',
        build.alu('add', 'i32', e.index, build.index(inner)),
        build.int(length),
      );
      return build.load(e.type, e.buffer, shifted, e.guard);
    },
  },
};

/** Both where a kernel rounds a value itself and where a store does it. */
const truncating = (dtype: 'float16' | 'bfloat16', round: AluOp, mask: number): Fault => ({
  name: `${dtype} that truncates`,
  rewrites: {
    alu: (e, build) => (e.alu === round ? masked(build, e.args[0]!, mask) : e),
    store: (store, build, kernel) =>
      kernel.buffers[store.buffer]!.dtype === dtype
        ? { ...store, value: masked(build, store.value, mask) }
        : store,
  },
});

const wrongIdentity: Fault = {
  name: 'maximum that starts at 0',
  rewrites: {
    reduce: (phase, build) => ({
      ...phase,
      accumulators: phase.accumulators.map((a) =>
        a.op === 'max' && a.type === 'f32'
          ? { ...a, value: build.alu('max', 'f32', a.value, build.const('f32', 0)) }
          : a,
      ),
    }),
  },
};

const saturating: Fault = inOperation(
  'integers that saturate',
  (e) => e.type === 'i32' && (e.alu === 'add' || e.alu === 'sub'),
  (e, build) => {
    // Exact where nothing overflows; the float only decides whether something does.
    const wide = build.alu(e.alu, 'f32', asFloat(build, e.args[0]!), asFloat(build, e.args[1]!));
    const over = build.alu('le', 'bool', build.const('f32', 2 ** 31), build.alu('abs', 'f32', wide));
    return build.alu('where', 'i32', over, build.alu('cast', 'i32', wide), e);
  },
);

const lossyProduct: Fault = inOperation(
  'integer products in floats',
  (e) => (e.type === 'i32' || e.type === 'u32') && e.alu === 'mul',
  (e, build) =>
    build.alu(
      'cast',
      e.type,
      build.alu('mul', 'f32', asFloat(build, e.args[0]!), asFloat(build, e.args[1]!)),
    ),
);

/** The smallest negated position is the largest position. */
const lastExtreme: Fault = {
  name: 'argMax that takes the last',
  rewrites: {
    reduce: (phase, build) => ({
      ...phase,
      accumulators: phase.accumulators.map((a) =>
        a.position ? { ...a, position: build.alu('neg', 'i32', a.position) } : a,
      ),
    }),
    accumulator: (value, build, kernel) =>
      holdsPosition(kernel, value.id) ? build.alu('neg', 'i32', value) : value,
  },
};

const holdsPosition = (kernel: Kernel, id: number): boolean =>
  kernel.phases.some(
    (phase) => phase.kind === 'reduce' && phase.accumulators.some((a) => a.id === id && a.position),
  );

const unmasked: Fault = inOperation(
  'padding that is not masked',
  (e) => e.alu === 'where' && e.args[2]!.op === 'const',
  (e) => e.args[1]!,
);

const looseComparison: Fault = inOperation(
  'NaN that is less than everything',
  (e) => isF32(e) && e.alu === 'lt',
  (e, build) => build.alu('not', 'bool', build.alu('le', 'bool', e.args[1]!, e.args[0]!)),
);

const signedComparison: Fault = inOperation(
  'unsigned compared as signed',
  (e) => e.args[0]!.type === 'u32' && (e.alu === 'lt' || e.alu === 'le'),
  (e, build) => build.alu(e.alu, 'bool', ...e.args.map((arg) => build.alu('bitcast', 'i32', arg))),
);

const logicalShift: Fault = inOperation(
  'shift that loses the sign',
  (e) => e.type === 'i32' && e.alu === 'shr',
  (e, build) =>
    build.alu(
      'bitcast',
      'i32',
      build.alu('shr', 'u32', ...e.args.map((arg) => build.alu('bitcast', 'u32', arg))),
    ),
);

const flooredRemainder: Fault = inOperation(
  'remainder with the sign of the divisor',
  (e) => isF32(e) && e.alu === 'rem',
  (e, build) => {
    const negative = build.alu('lt', 'bool', build.alu('mul', 'f32', e, e.args[1]!), build.const('f32', 0));
    return build.alu('where', 'f32', negative, build.alu('sub', 'f32', e, e.args[1]!), e);
  },
);

const roundingCast: Fault = inOperation(
  'cast that rounds',
  (e) => isF32(e) && e.alu === 'cast' && (e.type === 'i32' || e.type === 'u32'),
  (e, build) => build.alu('cast', e.type, build.alu('round', 'f32', e.args[0]!)),
);

const roundHalfUp: Fault = inOperation(
  'round that sends ties up',
  (e) => e.alu === 'round',
  (e, build) => build.alu('floor', 'f32', build.alu('add', 'f32', e.args[0]!, build.const('f32', 0.5))),
);

const impreciseExp: Fault = inOperation(
  'exp with four digits',
  (e) => e.alu === 'exp',
  (e, build) => build.alu('mul', 'f32', e, build.const('f32', Math.fround(1 + 1e-5))),
);

const lostZeroSign: Fault = inOperation(
  'negation that loses the sign of zero',
  (e) => isF32(e) && e.alu === 'neg',
  (e, build) => build.alu('sub', 'f32', build.const('f32', 0), e.args[0]!),
);

const coarseSum: Fault = {
  name: 'sum in 16 bits',
  rewrites: {
    reduce: (phase, build) => ({
      ...phase,
      accumulators: phase.accumulators.map((a) =>
        a.op === 'sum' && a.type === 'f32' ? { ...a, value: build.alu('roundBF16', 'f32', a.value) } : a,
      ),
    }),
  },
};

const reversedScatter: Fault = {
  name: 'scatter in reverse order',
  rewrites: {
    variable: (variable, phase, build) =>
      phase.kind === 'map' && phase.order === 'sequential' && phase.loops.includes(variable)
        ? build.alu('sub', 'i32', build.int(variable.extent - 1), build.index(variable))
        : undefined,
  },
};

const forgetfulScatter: Fault = {
  name: 'scatter that overwrites in place of adding',
  rewrites: { store: (store) => (store.mode === 'add' ? { ...store, mode: 'set' } : store) },
};

const missingEpilogue: Fault = {
  name: 'epilogue left out',
  needsRoutines: true,
  anchor: (anchor) => {
    const { epilogue } = anchor;
    if (epilogue?.value.type !== 'f32') return anchor;
    return { ...anchor, epilogue: { ...epilogue, value: { op: 'accumulator', type: anchor.type, id: 0 } } };
  },
};

const lostDispatch: Fault = {
  name: 'every seventh kernel is lost',
  device: (inner) => {
    let count = 0;
    return {
      submit: (commands) =>
        inner.submit(commands.filter((command) => command.kind !== 'dispatch' || ++count % 7 !== 0)),
    };
  },
};

/** A device that keeps what a program read in its first run, as a stale bind group would. */
const staleBindings: Fault = {
  name: 'operands of the first call are bound again',
  device: (inner, kernelOf) => {
    const first = new WeakMap<Program, readonly DeviceBuffer[]>();
    const dead = new WeakSet<DeviceBuffer>();
    const rebind = (command: Command): Command => {
      const kernel = command.kind === 'dispatch' ? kernelOf(command.program) : undefined;
      if (!kernel || command.kind !== 'dispatch') return command;
      const kept = first.get(command.program);
      if (!kept) first.set(command.program, command.buffers);
      const buffers = command.buffers.map((buffer, i) => {
        const stale = kept?.[i];
        const usable =
          stale &&
          !dead.has(stale) &&
          !command.buffers.includes(stale) &&
          kernel.buffers[i]!.access === 'read';
        return usable ? stale : buffer;
      });
      return { ...command, buffers };
    };
    return {
      submit: (commands) => inner.submit(commands.map(rebind)),
      free: (buffer) => {
        dead.add(buffer);
        inner.free(buffer);
      },
    };
  },
};

const staleRead: Fault = {
  name: 'a buffer read once is never read again',
  device: (inner) => {
    const seen = new WeakMap<DeviceBuffer, Uint8Array>();
    return {
      read: async (buffer, offset, bytes) => {
        const known = seen.get(buffer) ?? (await inner.read(buffer, offset, bytes));
        seen.set(buffer, known);
        return known.slice();
      },
    };
  },
};

const shortUpload: Fault = {
  name: 'upload that loses its last bytes',
  device: (inner) => ({
    write: (buffer, data, offset) => {
      const cut = data.length > 4 ? data.slice() : data;
      if (cut !== data) cut.fill(0, cut.length - 4);
      inner.write(buffer, cut, offset);
    },
  }),
};

export const faults: readonly Fault[] = [
  wrongStride,
  missingLast,
  swapped,
  swallowedNaN,
  nanInReduction,
  lastTermLost,
  staleBindings,
  staleRead,
  wrongBroadcast,
  truncating('float16', 'roundF16', 0xffffe000),
  truncating('bfloat16', 'roundBF16', 0xffff0000),
  wrongIdentity,
  saturating,
  lossyProduct,
  lastExtreme,
  unmasked,
  looseComparison,
  signedComparison,
  logicalShift,
  flooredRemainder,
  roundingCast,
  roundHalfUp,
  impreciseExp,
  lostZeroSign,
  coarseSum,
  reversedScatter,
  forgetfulScatter,
  missingEpilogue,
  lostDispatch,
  shortUpload,
];

/** Many small kernels as one, because each compilation takes its time. */
import type { Expression, Kernel, MapPhase, Store } from '@tutti/core/backend';
import type { KernelCase } from '@tutti/core/testing';
import { rewriter } from '../../src/kernels/rewrite.ts';

/** Kernels that can become one: maps without loops over spaces of the same extents. */
const shapeOf = ({ kernel, scalars }: KernelCase): string | undefined => {
  const [phase] = kernel.phases;
  const isMap = kernel.phases.length === 1 && phase!.kind === 'map' && phase!.loops.length === 0;
  return isMap && scalars.length === 0 ? kernel.space.map(({ extent }) => extent).join(' ') : undefined;
};

/** Cases in groups of up to `most`. Those that cannot be merged stay as they are. */
export function mergedCases(cases: readonly KernelCase[], most = 24): KernelCase[] {
  const groups = new Map<string, KernelCase[]>();
  const merged: KernelCase[] = [];
  for (const each of cases) {
    const shape = shapeOf(each);
    if (shape === undefined) {
      merged.push(each);
      continue;
    }
    const group = groups.get(shape) ?? [];
    group.push(each);
    groups.set(shape, group);
    if (group.length < most) continue;
    merged.push(merge(group));
    groups.delete(shape);
  }
  return [...merged, ...[...groups.values()].map(merge)];
}

function merge(cases: readonly KernelCase[]): KernelCase {
  const [first] = cases as [KernelCase];
  const buffers: Kernel['buffers'][number][] = [];
  const starts: number[] = [];
  const stores: Store[] = [];
  for (const { kernel } of cases) {
    const start = buffers.length;
    starts.push(start);
    buffers.push(...kernel.buffers);
    const moved = rewriter((e: Expression, rewrite) => {
      if (e.op === 'index') return { ...e, variable: first.kernel.space[kernel.space.indexOf(e.variable)]! };
      if (e.op !== 'load') return undefined;
      const guard = e.guard ? { guard: rewrite(e.guard) } : {};
      return { ...e, buffer: e.buffer + start, index: rewrite(e.index), ...guard };
    });
    for (const store of (kernel.phases[0] as MapPhase).stores) {
      const guard = store.guard ? { guard: moved(store.guard) } : {};
      const [index, value] = [moved(store.index), moved(store.value)];
      stores.push({ ...store, buffer: store.buffer + start, index, value, ...guard });
    }
  }
  const kernel: Kernel = {
    ...first.kernel,
    buffers,
    phases: [{ kind: 'map', loops: [], order: 'parallel', stores }],
  };
  return {
    name: `${first.name} and ${cases.length - 1} more`,
    kernel,
    needs: ['multipleOutputs'],
    scalars: [],
    contents: () => cases.flatMap(({ contents }) => contents()),
    check: (got) => {
      for (const [i, each] of cases.entries()) {
        const wrong = each.check(got.slice(starts[i], starts[i]! + each.kernel.buffers.length));
        if (wrong) return wrong;
      }
      return undefined;
    },
  };
}

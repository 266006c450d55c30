/**
 * Tiles for elementwise kernels that transpose.
 *
 * Where a load walks down a column while the store walks along a row, every lane touches its own cache line, and the line is gone
 * before its other elements are asked for. A tile of 16 rows by 8 columns uses each line whole. 8 columns, because lines a power
 * of two apart share a set of the first-level cache, which has 8 to 12 ways.
 *
 * The kernel is rewritten: the two variables are split in two, the outer halves stay in the space and the inner ones become
 * loops. What has no suitable divisor stays as it is.
 */
import { type Expression, type IndexVariable, visitExpressions } from '@tutti/core/backend';
import type { Graph, GraphPhase } from './graph.ts';
import { replaceIn } from './row-cache.ts';

const lineBytes = 64;
/** Elements of a plane below which everything stays in the first-level cache anyway. */
const smallestPlane = 8192;

const divisor = (extent: number, wanted: readonly number[]): number | undefined =>
  wanted.find((size) => extent % size === 0 && extent > size);

/** The outer variable along which the loads that cross the innermost one are contiguous. */
function crossing(graph: Graph, phase: GraphPhase, inner: IndexVariable): IndexVariable | undefined {
  const { builder, places, space } = graph;
  const votes = new Map<IndexVariable, number>();
  const roots = phase.kind === 'map' ? phase.stores.map((store) => store.value) : [];
  visitExpressions(roots, (e) => {
    if (e.op !== 'load') return;
    const address = builder.elementAddress(e.buffer, places[e.buffer]!.dtype, e.index);
    const step = builder.stride(address, inner);
    if (step === undefined || Math.abs(step) < lineBytes) return;
    const along = space.find(
      (v) =>
        v !== inner &&
        Math.abs(builder.stride(address, v) ?? lineBytes) <= 8 &&
        builder.stride(address, v) !== 0,
    );
    if (along) votes.set(along, (votes.get(along) ?? 0) + 1);
  });
  return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0];
}

export function tileTranspose(graph: Graph): Graph | undefined {
  const [phase, ...others] = graph.phases;
  if (phase?.kind !== 'map' || others.length > 0 || phase.loops.length > 0 || phase.order !== 'parallel')
    return undefined;
  const column = graph.space.at(-1)!;
  const row = crossing(graph, phase, column);
  if (!row || row.extent * column.extent < smallestPlane) return undefined;
  const height = divisor(row.extent, [16, 20, 12, 24, 8, 10, 14, 32, 4]);
  const width = divisor(column.extent, [8, 16, 12, 20, 4]);
  if (!height || !width) return undefined;

  const split = (variable: IndexVariable, size: number) => ({
    variable,
    size,
    outer: { name: `${variable.name}Tile`, extent: variable.extent / size },
    inner: { name: variable.name, extent: size },
  });
  const rows = split(row, height);
  const columns = split(column, width);
  const { builder } = graph;
  const replacements = new Map<Expression, Expression>();
  for (const { variable, size, outer, inner } of [rows, columns]) {
    const start = builder.alu('mul', 'i32', builder.index(outer), builder.int(size));
    replacements.set(builder.index(variable), builder.alu('add', 'i32', start, builder.index(inner)));
  }
  const rest = graph.space.filter((variable) => variable !== row && variable !== column);
  return {
    ...graph,
    space: [...rest, rows.outer, columns.outer],
    phases: [{ ...replaceIn(graph, phase, replacements), loops: [rows.inner, columns.inner] }],
  };
}

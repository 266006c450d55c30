/**
 * Convolutions by tiles in shared memory (contraction.ts), on CUDA cores (simt.ts) or tensor cores (mma.ts); see conv-geometry.ts for the
 * product, conv-sides.ts for the copies.
 *
 * A padded position adds no term, whatever the kernel holds there; but the tile has a zero for it, and a kernel's Inf or NaN would make
 * NaN of that. So a sum that comes out as NaN is formed again, term by term.
 */
import { type ConvAnchor, type ConvPart, isPadded, product, resultElements } from '@tutti/core/backend';
import { elementType, widened } from '../kernels/memory.ts';
import type { CudaFeatures, KernelStage } from '../program.ts';
import { type Contraction, type Cut, contractionStage, place } from './contraction.ts';
import {
  decodePixel,
  type Geometry,
  geometryOf,
  insideText,
  namedAxes,
  pixelText,
  termText,
} from './conv-geometry.ts';
import { patchMajor, patchOrder, patchSide, tablesOf, weightSide, weightView } from './conv-sides.ts';
import { cutFor } from './dot-plan.ts';
import { Results, type RunWidth, runWidth, type Sink } from './epilogue.ts';
import { Source } from './source.ts';
import { all, block, lines, sum, times, when } from './text.ts';
import { tileMemory } from './tile-memory.ts';
import type { Tiling } from './tiling.ts';

export function convCut(anchor: ConvAnchor, part: ConvPart, tiling: Tiling, features: CudaFeatures): Cut {
  const { pixels, terms } = geometryOf(anchor, part);
  const extents = { rows: anchor.outChannels, columns: pixels, matrices: anchor.groups, k: terms };
  return cutFor(extents, tiling, tiling.depth, features);
}

/** The stage for a part; its results go to arrays of sums where the contraction is cut. */
export function convTileStage(anchor: ConvAnchor, part: ConvPart, tiling: Tiling, cut: Cut): KernelStage {
  const geometry = geometryOf(anchor, part);
  const source = new Source(anchor, 2);
  const { format, depth, threads, stages, rows, columns } = tiling;
  const tables = tablesOf(geometry, depth, columns, threads, weightView(geometry) === undefined);
  const where = { threads, tables };
  const left = weightSide(source, geometry, format, rows, depth, where);
  const patches = tileMemory(format, patchMajor(geometry, format), columns, depth);
  const width = part.dense ? runWidth(geometry.points) : 1;
  const sink: Sink = cut.parts > 1 ? { kind: 'sums', part: place.part } : { kind: 'result' };
  const by = patchOrder(geometry);
  return contractionStage(source, {
    comment: `Convolution: channels x pixels by ${tiling.name}, patches by ${by}.`,
    cut,
    core: tiling.core(left.memory, patches),
    stages,
    left,
    right: patchSide(source, geometry, patches, where),
    prepare: tables.prepare,
    table: tables,
    width,
    write: runText(source, geometry, sink, width),
    ...(isPadded(part) ? repairOf(source, geometry, sink, depth) : {}),
  });
}

/** How a block that has sums which are NaN forms them again. */
function repairOf(
  source: Source,
  geometry: Geometry,
  sink: Sink,
  depth: number,
): Required<Pick<Contraction, 'functions' | 'repair'>> {
  const group = geometry.anchor.groups > 1 ? 'matrix' : '0';
  const terms = `first * ${depth}, last * ${depth}`;
  const exact = `exact_sum(${source.buffer(0)}, ${source.buffer(1)}, ${group}, channel, number, ${terms})`;
  const write = runText(source, geometry, sink, 1);
  return { functions: exactText(geometry), repair: (row, column) => write(row, column, [exact]) };
}

/** Statements that store a run at names within the block's tile, where it exists. */
function runText(
  source: Source,
  geometry: Geometry,
  sink: Sink,
  width: RunWidth,
): (row: string, column: string, values: readonly string[]) => string {
  const { anchor, part, points, pixels } = geometry;
  const total = product(anchor.outSize);
  const layout = part.dense ? { extent: points, width } : { extent: resultElements(anchor), width };
  const results = new Results(source, layout, sink);
  const group = anchor.groups > 1 ? times('matrix', anchor.outChannels) : '0';
  const image = anchor.batch > 1 ? `at_batch * ${anchor.groups * anchor.outChannels}` : '0';
  const { text, name } = decodePixel(geometry, 'number');
  const channel = sum(image, group, 'channel');
  const within = sum(
    `${part.outOffset}`,
    ...namedAxes(geometry).map(([axis, { out }]) => times(name(axis), out)),
  );
  return (row, column, values) =>
    lines(
      `const int channel = ${place.firstRow} + ${row}, number = ${place.firstColumn} + ${column};`,
      when(
        all(`channel < ${anchor.outChannels}`, `number < ${pixels}`),
        text,
        part.dense
          ? lines(`const Index result_row = ${channel};`, `const int result_column = ${within};`)
          : lines(
              'const int result_row = 0;',
              `const Index result_column = (Index)(${channel}) * ${total} + ${within};`,
            ),
        results.write('result_row', 'result_column', values),
      ),
    );
}

/** A sum without the terms that meet no pixel. */
function exactText(geometry: Geometry): string {
  const { anchor, part, terms } = geometry;
  const [x, w] = [anchor.lhs.dtype, anchor.rhs.dtype];
  const types = `const ${elementType[x]}* b0, const ${elementType[w]}* b1`;
  const group = anchor.groups > 1 ? times('matrix', anchor.outChannels * anchor.rhs.outer) : '0';
  const weight = sum(`${part.rhsOffset}`, group, times('channel', anchor.rhs.outer), 'weight');
  const added = `total = fmaf(${widened(w, `b1[${weight}]`)}, ${widened(x, 'b0[pixel.x + term.x]')}, total);`;
  return block(
    `__device__ __forceinline__ float exact_sum(${types}, int matrix, int channel, int number, int begin, int end)`,
    'int4 pixel;',
    block('', pixelText(geometry, 'pixel', 'number', false)),
    'float total = 0.0f;',
    block(
      `for (int index = begin; index < end && index < ${terms}; index++)`,
      'int4 term;',
      'int weight;',
      block('', termText(geometry, 'index', 'term', 'weight', false)),
      when(insideText(geometry, 'pixel', 'term', false), added),
    ),
    'return total;',
  );
}

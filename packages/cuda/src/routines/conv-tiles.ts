/**
 * Convolutions by tiles in shared memory (contraction.ts), on CUDA cores (simt.ts) or tensor cores (mma.ts); see conv-geometry.ts for the
 * product, conv-sides.ts for the copies.
 *
 * A padded position adds no term, whatever the kernel holds there; but the tile has a zero for it, and a kernel's Inf or NaN would make
 * NaN of that. So a sum that comes out as NaN is formed again, term by term.
 */
import type { ConvAnchor, ConvPart } from '@tutti/core/backend';
import { isPadded, resultElements } from '@tutti/core/backend';
import { elementType, widened } from '../kernels/memory.ts';
import type { CudaFeatures, KernelStage } from '../program.ts';
import { type Cut, contractionStage, place } from './contraction.ts';
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
import { cutFor, type MmaName, mmaShapes, mmaStages, type SimtName, simtShapes } from './dot-plan.ts';
import { Results, type RunWidth, runWidth, type Sink } from './epilogue.ts';
import { mmaCore, mmaThreads } from './mma.ts';
import { product } from './numbers.ts';
import { simtCore, simtThreads } from './simt.ts';
import { Source } from './source.ts';
import { all, block, lines, sum, times, when } from './text.ts';
import { type Format, formatBytes, tileMemory } from './tile-memory.ts';

export type ConvTiles = { readonly cores: 'simt'; readonly shape: SimtName } | ConvMmaTiles;

interface ConvMmaTiles {
  readonly cores: 'mma';
  readonly shape: MmaName;
  readonly format: 'f16' | 'bf16' | 'tf32';
}

const shapeOf = (tiles: ConvTiles) =>
  tiles.cores === 'simt' ? simtShapes[tiles.shape] : mmaShapes[tiles.shape];

const formatOf = (tiles: ConvTiles): Format => (tiles.cores === 'simt' ? 'f32' : tiles.format);

const depthOf = (tiles: ConvTiles): number =>
  tiles.cores === 'simt'
    ? simtShapes[tiles.shape].depth
    : mmaShapes[tiles.shape].depthBytes / formatBytes(tiles.format);

export function convCut(anchor: ConvAnchor, part: ConvPart, tiles: ConvTiles, features: CudaFeatures): Cut {
  const { pixels, terms } = geometryOf(anchor, part);
  const extents = { rows: anchor.outChannels, columns: pixels, matrices: anchor.groups, k: terms };
  return cutFor(extents, shapeOf(tiles), depthOf(tiles), features);
}

/** The stage for a part; its results go to arrays of sums where the contraction is cut. */
export function convTileStage(
  anchor: ConvAnchor,
  part: ConvPart,
  tiles: ConvTiles,
  cut: Cut,
  features: CudaFeatures,
): KernelStage {
  const geometry = geometryOf(anchor, part);
  const source = new Source(anchor, 2);
  const shape = shapeOf(tiles);
  const format = formatOf(tiles);
  const depth = depthOf(tiles);
  const threads =
    tiles.cores === 'simt' ? simtThreads(simtShapes[tiles.shape]) : mmaThreads(mmaShapes[tiles.shape]);
  const tables = tablesOf(geometry, depth, shape.columns, threads, weightView(geometry) === undefined);
  const where = { threads, tables };
  const left = weightSide(source, geometry, format, shape.rows, depth, where);
  const patches = tileMemory(format, patchMajor(geometry, format), shape.columns, depth);
  const right = patchSide(source, geometry, patches, where);
  const core =
    tiles.cores === 'simt'
      ? simtCore(simtShapes[tiles.shape], left.memory, patches)
      : mmaCore(mmaShapes[tiles.shape], left.memory, patches, features.computeCapability);
  const width = part.dense ? runWidth(geometry.points) : 1;
  const group = anchor.groups > 1 ? 'matrix' : '0';
  const terms = `first * ${depth}, last * ${depth}`;
  const exact = `exact_sum(${source.buffer(0)}, ${source.buffer(1)}, ${group}, channel, number, ${terms})`;
  const sink: Sink = cut.parts > 1 ? { kind: 'sums', part: place.part } : { kind: 'result' };
  const repair = runText(source, geometry, sink, 1);
  const by = patchOrder(geometry);
  return contractionStage(source, {
    comment: `Convolution: ${tiles.cores} tiles of ${tiles.shape} channels x pixels, ${format}, patches by ${by}.`,
    cut,
    core,
    stages:
      tiles.cores === 'simt' ? simtShapes[tiles.shape].stages : mmaStages(mmaShapes[tiles.shape], features),
    left,
    right,
    prepare: tables.prepare,
    table: tables,
    width,
    write: runText(source, geometry, sink, width),
    ...(isPadded(part)
      ? { functions: exactText(geometry), repair: (row, column) => repair(row, column, [exact]) }
      : {}),
  });
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

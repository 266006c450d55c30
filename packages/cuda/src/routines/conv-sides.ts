/**
 * Weights and patches of an implicit GEMM on their way to shared memory.
 *
 * Offsets of terms come from a table in shared memory, made anew for each tile by as many threads as it has terms. Patches are copied
 *
 *     by 'pixels'    neighbouring lanes copy neighbouring pixels; a thread keeps to one pixel, whose place it finds once
 *     by 'terms'     neighbouring lanes copy neighbouring terms, where kernel positions make longer runs than results do (gradients of
 *                    kernels); a thread keeps to one term, and pixels lie in a table, made once
 *
 * Elements of 4 bytes go by `cp.async`, into lines along pixels or along terms. 16-bit floats are gathered into registers, 8 terms of a
 * pixel, and put down by 16 bytes, in lines along terms.
 */
import { elementType, widened } from '../kernels/memory.ts';
import { place, type Table } from './contraction.ts';
import { evenTerms, type Geometry, insideText, pixelText, termText } from './conv-geometry.ts';
import { ceilDiv } from './numbers.ts';
import { majorOf, operandSide, type Side, type View } from './operand.ts';
import type { Source } from './source.ts';
import { all, block, lines, shared, sum, times, unrolled, when } from './text.ts';
import {
  type Format,
  formatBytes,
  formatType,
  type Major,
  type TileMemory,
  tileMemory,
} from './tile-memory.ts';

export type PatchOrder = 'pixels' | 'terms';

/** Lanes go where neighbours in memory are more often neighbours. */
export function patchOrder({ part }: Geometry): PatchOrder {
  const [, , x] = part.axes;
  return x.kernelSize > x.outSize ? 'terms' : 'pixels';
}

/** Whether elements are copied as they are, by 4 bytes. */
const isCopied = (geometry: Geometry, format: Format): boolean =>
  formatBytes(format) === 4 && geometry.anchor.lhs.dtype === 'float32';

export function patchMajor(geometry: Geometry, format: Format): Major {
  return isCopied(geometry, format) && patchOrder(geometry) === 'pixels' ? 'outer' : 'k';
}

/** Places of tables in shared memory: two slots of terms, then the pixels of the block's tile. */
export interface Tables extends Table {
  readonly depth: number;
  readonly prepare: string;
}

const slotBytes = (depth: number): number => depth * 20;

/** The statements of a thread for each of `count` entries. */
const forEntries = (count: number, threads: number, body: string): string =>
  count <= threads
    ? when(count === threads ? undefined : `thread < ${count}`, 'const int entry = thread;', body)
    : block(`for (int entry = thread; entry < ${count}; entry += ${threads})`, body);

export function tablesOf(
  geometry: Geometry,
  depth: number,
  columns: number,
  threads: number,
  needsWeights: boolean,
): Tables {
  const pixelTable = patchOrder(geometry) === 'terms';
  const isRagged = geometry.terms % depth !== 0;
  const pixelsRagged = geometry.pixels % columns !== 0;
  const pixelsAt = 2 * slotBytes(depth);
  const fillPixels = forEntries(
    columns,
    threads,
    lines(
      `const int pixel = ${place.firstColumn} + entry;`,
      pixelText(geometry, `((int4*)(shared_memory + ${pixelsAt}))[entry]`, 'pixel', pixelsRagged),
    ),
  );
  return {
    depth,
    bytes: pixelsAt + (pixelTable ? columns * 16 : 0),
    prepare: pixelTable ? fillPixels : '',
    fill: (tile) =>
      block(
        '',
        forEntries(
          depth,
          threads,
          lines(
            `int4* const offsets = (int4*)(shared_memory + (${tile} & 1) * ${slotBytes(depth)});`,
            `const int term = ${tile} * ${depth} + entry;`,
            termText(
              geometry,
              'term',
              'offsets[entry]',
              needsWeights ? `((int*)(offsets + ${depth}))[entry]` : '',
              isRagged,
            ),
          ),
        ),
      ),
  };
}

/** Names the slot that the tile's offsets are in. */
const slotText = (depth: number): string =>
  `const int4* const offsets = (const int4*)(shared_memory + (next & 1) * ${slotBytes(depth)});`;

export interface SidePlace {
  readonly threads: number;
  readonly tables: Tables;
}

/** The input, as the right side. */
export function patchSide(
  source: Source,
  geometry: Geometry,
  memory: TileMemory,
  { threads, tables }: SidePlace,
): Side {
  const { pixels, terms, anchor } = geometry;
  const { outer, depth, lanes, format } = memory;
  const order = patchOrder(geometry);
  const copied = isCopied(geometry, format);
  const isRagged = pixels % outer !== 0 || terms % depth !== 0;
  const { dtype } = anchor.lhs;
  const run = copied ? 1 : lanes;
  const count = (outer * depth) / run;
  const along = depth / run;
  const inside = insideText(geometry, 'pixel', 'term', isRagged);
  const index = 'pixel.x + term.x';
  /** A loop over what a thread copies: `column` of the tile, and the first of `run` terms, `step`. */
  const each = (body: string): string =>
    lines(
      order === 'terms' &&
        `const int4* const pixel_table = (const int4*)(shared_memory + ${2 * slotBytes(depth)});`,
      order === 'terms'
        ? shared(count, threads, along, ['column', 'part'], `const int step = ${times('part', run)};`, body)
        : shared(count, threads, outer, ['part', 'column'], `const int step = ${times('part', run)};`, body),
    );
  const pixelOf = order === 'terms' ? 'const int4 pixel = pixel_table[column];' : '';
  const setup = lines(
    `const ${elementType[dtype]}* const right = ${source.buffer(0)};`,
    order === 'pixels' &&
      lines(
        'int4 pixel;',
        block(
          '',
          `const int number = ${place.firstColumn} + thread % ${outer};`,
          pixelText(geometry, 'pixel', 'number', pixels % outer !== 0),
        ),
      ),
    !copied && `tutti_pack<${formatType[format]}, ${lanes}> right_fetched[${ceilDiv(count, threads)}];`,
  );
  if (copied) {
    const [line, at] = memory.major === 'k' ? ['column', 'step'] : ['step', 'column'];
    const target = `${memory.at(line, `${at} / ${lanes}`)} + ${at} % ${lanes} * 4`;
    return {
      memory,
      setup: () => setup,
      fetch: (tile) =>
        block(
          '',
          slotText(tables.depth),
          each(
            lines(
              pixelOf,
              'const int4 term = offsets[step];',
              `tutti_cp_async_4(${tile} + ${target}, right + (${index}), ${inside ? `${inside} ? 4 : 0` : '4'});`,
            ),
          ),
        ),
      put: () => '',
    };
  }
  const bits = `right[${index}]`;
  const value = formatBytes(format) === 2 ? bits : widened(dtype, bits);
  return {
    memory,
    setup: () => setup,
    fetch: () =>
      block(
        '',
        slotText(tables.depth),
        each(
          lines(
            pixelOf,
            unrolled(
              'j',
              lanes,
              'const int4 term = offsets[step + j];',
              `right_fetched[i].at[j] = ${inside ? `${inside} ? ${value} : 0` : value};`,
            ),
          ),
        ),
      ),
    put: (tile) =>
      each(
        `tutti_store<${lanes}>((${formatType[format]}*)(${tile} + ${memory.at('column', `step / ${lanes}`)}), right_fetched[i]);`,
      ),
  };
}

/** The kernel as an operand like those of products, where its terms lie evenly spaced. */
export function weightView(geometry: Geometry): View | undefined {
  const { anchor, part } = geometry;
  const kStride = evenTerms(geometry);
  if (kStride === undefined) return undefined;
  return {
    slot: 1,
    dtype: anchor.rhs.dtype,
    offset: part.rhsOffset,
    batch: anchor.groups > 1 ? [anchor.outChannels * anchor.rhs.outer] : [],
    outerStride: anchor.rhs.outer,
    outerExtent: anchor.outChannels,
    kStride,
  };
}

/** The kernel, as the left side. */
export function weightSide(
  source: Source,
  geometry: Geometry,
  format: Format,
  rows: number,
  depth: number,
  where: SidePlace,
): Side {
  const { anchor, part, terms } = geometry;
  const view = weightView(geometry);
  const group = anchor.groups > 1 ? times('matrix', anchor.outChannels * anchor.rhs.outer) : '0';
  const base = sum(`${part.rhsOffset}`, group);
  if (view)
    return operandSide(source, view, tileMemory(format, majorOf(view), rows, depth), {
      name: 'left',
      first: place.firstRow,
      base,
      k: terms,
      threads: where.threads,
    });
  return scatteredWeights(source, geometry, tileMemory(format, 'k', rows, depth), base, where);
}

/** Weights whose terms lie anyhow: offsets come from the table, lanes run along terms. */
function scatteredWeights(
  source: Source,
  { anchor, terms }: Geometry,
  memory: TileMemory,
  base: string,
  { threads, tables }: SidePlace,
): Side {
  const { outer: rows, depth, lanes, format } = memory;
  const { dtype, outer } = anchor.rhs;
  const copied = formatBytes(format) === 4 && dtype === 'float32';
  const run = copied ? 1 : lanes;
  const along = depth / run;
  const count = rows * along;
  const checks = (step: string): string | undefined =>
    all(
      anchor.outChannels % rows === 0 ? undefined : `${place.firstRow} + row < ${anchor.outChannels}`,
      terms % depth === 0 ? undefined : `k + ${step} < ${terms}`,
    );
  const each = (body: string): string =>
    shared(count, threads, along, ['row', 'part'], `const int step = ${times('part', run)};`, body);
  const start = sum(source.buffer(1), base, times(place.firstRow, outer));
  const table = lines(
    slotText(tables.depth),
    `const int* const weights = (const int*)(offsets + ${tables.depth});`,
  );
  const index = (step: string): string => sum(times('row', outer), `weights[${step}]`);
  const setup = lines(
    `const ${elementType[dtype]}* const left = ${start};`,
    !copied && `tutti_pack<${formatType[format]}, ${lanes}> left_fetched[${ceilDiv(count, threads)}];`,
  );
  const target = memory.at('row', `step / ${lanes}`);
  if (copied) {
    const size = checks('step') ? `${checks('step')} ? 4 : 0` : '4';
    const copy = `tutti_cp_async_4(left_tile + ${target} + step % ${lanes} * 4, left + (${index('step')}), ${size});`;
    return { memory, setup: () => setup, fetch: () => block('', table, each(copy)), put: () => '' };
  }
  const bits = `left[${index('(step + j)')}]`;
  const value = formatBytes(format) === 2 ? bits : widened(dtype, bits);
  const checked = checks('step + j');
  const gather = unrolled(
    'j',
    lanes,
    `left_fetched[i].at[j] = ${checked ? `${checked} ? ${value} : 0` : value};`,
  );
  return {
    memory,
    setup: () => setup,
    fetch: () => block('', table, each(gather)),
    put: (tile) =>
      each(`tutti_store<${lanes}>((${formatType[format]}*)(${tile} + ${target}), left_fetched[i]);`),
  };
}

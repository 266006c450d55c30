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
import { ceilDiv, type DType } from '@tutti/core/backend';
import { elementType, widened } from '../kernels/memory.ts';
import { place, type Table } from './contraction.ts';
import { evenTerms, type Geometry, insideText, pixelText, termText } from './conv-geometry.ts';
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

/** Elements that lie anyhow: where those of a term are is found in the table. Lanes run along terms. */
interface Gathered {
  readonly name: 'left' | 'right';
  readonly dtype: DType;
  readonly memory: TileMemory;
  /** Elements are copied as they are, one by one. Otherwise a thread takes all lanes of a line. */
  readonly copied: boolean;
  /** Names the table of the tile. */
  readonly table: string;
  /** Statements before the loop, which name the elements' beginning. */
  readonly setup: string;
  readonly line: GatheredLine;
  /** What is known of the element in a step: statements that name what its texts refer to, its index, and whether it exists. */
  readonly element: (step: string) => {
    readonly names?: string;
    readonly index: string;
    readonly exists: string | undefined;
  };
}

interface GatheredLine {
  readonly name: 'row' | 'column';
  /** Neighbouring lanes have neighbouring lines, and not neighbouring steps. */
  readonly fastest: boolean;
  /** Statements that name what belongs to the line. */
  readonly names?: string;
}

const orZero = (value: string, exists: string | undefined): string =>
  exists === undefined ? value : `${exists} ? ${value} : 0`;

function gatheredSide(
  { name, dtype, memory, copied, table, setup, line, element }: Gathered,
  threads: number,
): Side {
  const { outer, depth, lanes, format, major } = memory;
  const run = copied ? 1 : lanes;
  const [along, count] = [depth / run, (outer * depth) / run];
  /** A loop over what a thread copies: the line of the tile, and the first of `run` terms, `step`. */
  const each = (body: string): string => {
    const step = `const int step = ${times('part', run)};`;
    return line.fastest
      ? shared(count, threads, outer, ['part', line.name], step, body)
      : shared(count, threads, along, [line.name, 'part'], step, body);
  };
  const fetch = (body: string): string => block('', table, each(lines(line.names, body)));
  if (copied) {
    const { names, index, exists } = element('step');
    const [outside, inside] = major === 'k' ? [line.name, 'step'] : ['step', line.name];
    const target = `${memory.at(outside, `${inside} / ${lanes}`)} + ${inside} % ${lanes} * 4`;
    const copy = (tile: string): string =>
      `tutti_cp_async_4(${tile} + ${target}, ${name} + (${index}), ${orZero('4', exists)});`;
    return {
      memory,
      setup: () => setup,
      fetch: (tile) => fetch(lines(names, copy(tile))),
      put: () => '',
    };
  }
  const type = formatType[format];
  const fetched = `${name}_fetched`;
  const { names, index, exists } = element('step + j');
  const bits = `${name}[${index}]`;
  const value = orZero(formatBytes(format) === 2 ? bits : widened(dtype, bits), exists);
  const target = memory.at(line.name, `step / ${lanes}`);
  return {
    memory,
    setup: () => lines(setup, `tutti_pack<${type}, ${lanes}> ${fetched}[${ceilDiv(count, threads)}];`),
    fetch: () => fetch(unrolled('j', lanes, names, `${fetched}[i].at[j] = ${value};`)),
    put: (tile) => each(`tutti_store<${lanes}>((${type}*)(${tile} + ${target}), ${fetched}[i]);`),
  };
}

/** The input, as the right side. */
export function patchSide(
  source: Source,
  geometry: Geometry,
  memory: TileMemory,
  { threads, tables }: SidePlace,
): Side {
  const { pixels, terms, anchor } = geometry;
  const { outer, depth, format } = memory;
  const { dtype } = anchor.lhs;
  const byPixels = patchOrder(geometry) === 'pixels';
  const exists = insideText(geometry, 'pixel', 'term', pixels % outer !== 0 || terms % depth !== 0);
  const ownPixel = lines(
    'int4 pixel;',
    block(
      '',
      `const int number = ${place.firstColumn} + thread % ${outer};`,
      pixelText(geometry, 'pixel', 'number', pixels % outer !== 0),
    ),
  );
  const pixelTable = `const int4* const pixel_table = (const int4*)(shared_memory + ${2 * slotBytes(tables.depth)});`;
  const gathered: Gathered = {
    name: 'right',
    dtype,
    memory,
    copied: isCopied(geometry, format),
    table: lines(slotText(tables.depth), !byPixels && pixelTable),
    setup: lines(`const ${elementType[dtype]}* const right = ${source.buffer(0)};`, byPixels && ownPixel),
    line: byPixels
      ? { name: 'column', fastest: true }
      : { name: 'column', fastest: false, names: 'const int4 pixel = pixel_table[column];' },
    element: (step) => ({
      names: `const int4 term = offsets[${step}];`,
      index: 'pixel.x + term.x',
      exists,
    }),
  };
  return gatheredSide(gathered, threads);
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

/** Weights whose terms lie anyhow. */
function scatteredWeights(
  source: Source,
  { anchor, terms }: Geometry,
  memory: TileMemory,
  base: string,
  { threads, tables }: SidePlace,
): Side {
  const { outer: rows, depth, format } = memory;
  const { dtype, outer } = anchor.rhs;
  const start = sum(source.buffer(1), base, times(place.firstRow, outer));
  const gathered: Gathered = {
    name: 'left',
    dtype,
    memory,
    copied: formatBytes(format) === 4 && dtype === 'float32',
    table: lines(
      slotText(tables.depth),
      `const int* const weights = (const int*)(offsets + ${tables.depth});`,
    ),
    setup: `const ${elementType[dtype]}* const left = ${start};`,
    line: { name: 'row', fastest: false },
    element: (step) => ({
      index: sum(times('row', outer), `weights[${step}]`),
      exists: all(
        anchor.outChannels % rows === 0 ? undefined : `${place.firstRow} + row < ${anchor.outChannels}`,
        terms % depth === 0 ? undefined : `k + ${step} < ${terms}`,
      ),
    }),
  };
  return gatheredSide(gathered, threads);
}

/**
 * The end of a tile: its sums go through the epilogue as runs of columns, or as they are to the workspace or the result.
 */
import {
  type ConvAnchor,
  type ConvPart,
  pointsOf,
  product,
  range,
  resultElements,
} from '@tutti/core/backend';
import type { Code } from '../kernels/code.ts';
import { lanesOf } from '../kernels/memory.ts';
import type { Shader } from '../kernels/shader.ts';
import type { Memory } from './conv-operands.ts';
import { affine, plus } from './conv-text.ts';
import type { Tile, TilePlan } from './conv-tile-plan.ts';
import { type ResultLayout, type ResultRow, Results } from './epilogue.ts';

/** Names of the first of an invocation's results along each dimension, as i32, and of its part of the sums. */
export interface Place {
  readonly split: string;
  readonly group: string;
  readonly batch: string;
  readonly channel: string;
  readonly z: string;
  readonly y: string;
  readonly x: string;
}

/** Sums to store, and where the first of them goes. */
export interface Block {
  readonly place: Place;
  readonly extents: readonly [batch: number, channels: number, rows: number, columns: number];
  readonly sum: (b: number, o: number, y: number, x: number) => string;
}

/** How the epilogue sees the result: whole images as rows where runs of columns fill the image's rows, else the image's rows. */
export function layoutOf(anchor: ConvAnchor, part: ConvPart, { columns }: Tile): ResultLayout {
  const row = part.axes[2].outSize;
  const ragged = row % columns !== 0;
  // Elements of narrow buffers come four to a word.
  const narrow = anchor.buffers.slice(3).some(({ dtype }) => lanesOf(dtype) > 1);
  const width = narrow && columns % 4 !== 0 ? 1 : columns;
  return { extent: ragged ? row : pointsOf(part), width, ragged, single: true };
}

/** What a tile is part of. */
export interface TileOutput {
  readonly anchor: ConvAnchor;
  readonly part: ConvPart;
  readonly plan: TilePlan;
  readonly memory: Memory;
  readonly layout: ResultLayout;
  readonly software: boolean;
}

export class TileStore {
  readonly #shader: Shader;
  readonly #code: Code;
  readonly #output: TileOutput;

  constructor(shader: Shader, code: Code, output: TileOutput) {
    this.#shader = shader;
    this.#code = code;
    this.#output = output;
  }

  write(block: Block): void {
    if (this.#output.memory.sink === 'results') this.#storeResults(block);
    else this.#storeSums(block);
  }

  #storeResults({ place, extents: [batch, channels, rows, columns], sum }: Block): void {
    const code = this.#code;
    const { ragged, extent } = this.#output.layout;
    const [z, y, x] = this.#output.part.axes;
    const layout = { ...this.#output.layout, width: Math.min(this.#output.layout.width, columns) };
    const results = new Results(this.#shader, code, this.#output.anchor, layout, this.#output.software);
    for (const r of range(rows)) {
      const line = code.keep('r', `u32(${affine(r, [place.z, y.outSize], [place.y, 1])})`);
      const write = (c: number): void => {
        const first = `u32(${affine(c, [place.x, 1])})`;
        const column = ragged ? first : `${line} * ${x.outSize}u + ${first}`;
        const row = (image: string): string =>
          ragged ? `${image} * ${z.outSize * y.outSize}u + ${line}` : image;
        const all = range(batch).flatMap((b) =>
          range(channels).map(
            (o): ResultRow => ({
              row: code.keep('r', row(this.#image(place, b, o))),
              exists: this.#exists(place, b, o),
              values: range(layout.width).map((i) => sum(b, o, r, c + i)),
            }),
          ),
        );
        results.write(code.keep('c', extent === 1 ? '0u' : column), all);
      };
      const runs = (): void => {
        for (let c = 0; c < columns; c += layout.width) write(c);
      };
      if (y.outSize % this.#output.plan.tile.rows === 0) runs();
      else code.block(`if (${plus(place.y, r)} < ${y.outSize})`, runs);
    }
  }

  /** The number of an entry's channel, as a u32. */
  #image({ batch, group, channel }: Place, b: number, o: number): string {
    const { groups, outChannels } = this.#output.anchor;
    const text = affine(
      b * groups * outChannels + o,
      [batch, groups * outChannels],
      [group, outChannels],
      [channel, 1],
    );
    return this.#code.keep('r', `u32(${text})`);
  }

  #exists(place: Place, b: number, o: number): string | undefined {
    const { batch, outChannels } = this.#output.anchor;
    const { tile } = this.#output.plan;
    const checks = [
      ...(batch % tile.batch === 0 ? [] : [`(${plus(place.batch, b)} < ${batch})`]),
      ...(outChannels % tile.channels === 0 ? [] : [`(${plus(place.channel, o)} < ${outChannels})`]),
    ];
    return checks.length > 0 ? checks.join(' & ') : undefined;
  }

  #storeSums({ place, extents: [batch, channels, rows, columns], sum }: Block): void {
    const code = this.#code;
    const { tile, splits } = this.#output.plan;
    const [z, y, x] = this.#output.part.axes;
    const target = this.#output.memory.sink === 'plain' ? this.#shader.buffer(2) : 'workspace';
    const within = (check: string | undefined, body: () => void): void =>
      check ? code.block(`if (${check})`, body) : body();
    for (const b of range(batch)) {
      for (const o of range(channels)) {
        within(this.#exists(place, b, o), () => {
          const first = code.keep(
            'at',
            affine(
              this.#output.part.outOffset,
              [`i32(${this.#image(place, b, o)})`, product(this.#output.anchor.outSize)],
              [splits > 1 ? place.split : '0', resultElements(this.#output.anchor)],
              [place.z, z.out],
              [place.y, y.out],
              [place.x, x.out],
            ),
          );
          for (const r of range(rows)) {
            for (const c of range(columns)) {
              const checks = [
                ...(y.outSize % tile.rows === 0 ? [] : [`(${plus(place.y, r)} < ${y.outSize})`]),
                ...(x.outSize % tile.columns === 0 ? [] : [`(${plus(place.x, c)} < ${x.outSize})`]),
              ];
              within(checks.join(' & '), () => {
                code.line(`${target}[${plus(first, r * y.out + c * x.out)}] = ${sum(b, o, r, c)};`);
              });
            }
          }
        });
      }
    }
  }
}

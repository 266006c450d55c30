/**
 * Convolution without workgroup memory: every invocation has a tile of results in registers, and reads pixels and weights from where
 * they lie. For software adapters, and for convolutions of few channels (depthwise).
 *
 *     sums (batch, channels, rows, columns) += weights (channels, terms) x pixels (batch, rows, columns, terms)
 *
 * A turn of the loop takes the terms of some input channels, kernel rows and kernel columns; a pixel that several of these meet is
 * loaded once. Several invocations may share a tile's sums: each takes a part of the turns, and a last stage adds the parts in order.
 */
import {
  type ConvAnchor,
  type ConvAxis,
  type ConvPart,
  ceilDiv,
  type IndexVariable,
  isInside,
  isPadded,
  range,
  sizeOf,
} from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import { gridOf } from '../kernels/grid.ts';
import { Shader } from '../kernels/shader.ts';
import type { ShaderFeatures, WgslStage } from '../program.ts';
import { loadOperand, type Memory, workspaceOf } from './conv-operands.ts';
import { affine, decoded, plus, quotientOf, times } from './conv-text.ts';
import { type Sweep, sumsOf, sweepsOf, type TilePlan, type TileProblem } from './conv-tile-plan.ts';
import { layoutOf, type Place, TileStore } from './conv-tile-store.ts';
import { resultMemory } from './epilogue.ts';

/** Invocations of a workgroup in software, where fewer cost nothing, and on hardware. */
const sizes = { software: 16, hardware: 64 };

export function tileStage(
  anchor: ConvAnchor,
  part: ConvPart,
  plan: TilePlan,
  memory: Memory,
  features: ShaderFeatures,
): WgslStage {
  return new TileStage(anchor, part, plan, memory, features).stage();
}

class TileStage {
  readonly #anchor: ConvAnchor;
  readonly #part: ConvPart;
  readonly #plan: TilePlan;
  readonly #memory: Memory;
  readonly #features: ShaderFeatures;
  readonly #problem: TileProblem;
  readonly #shader: Shader;
  readonly #code = new Code();
  readonly #store: TileStore;
  #place!: Place;

  constructor(anchor: ConvAnchor, part: ConvPart, plan: TilePlan, memory: Memory, features: ShaderFeatures) {
    this.#anchor = anchor;
    this.#part = part;
    this.#plan = plan;
    this.#memory = memory;
    this.#features = features;
    this.#problem = { ...anchor, part };
    const layout = layoutOf(anchor, part, plan.tile);
    const more = workspaceOf(memory);
    const plain = { ...more, stored: new Set(memory.sink === 'plain' ? [2] : []), atomic: new Set<number>() };
    this.#shader = new Shader(
      anchor,
      features,
      memory.sink === 'results' ? resultMemory(anchor, layout, more) : plain,
    );
    const output = { anchor, part, plan, memory, layout, software: features.software };
    this.#store = new TileStore(this.#shader, this.#code, output);
  }

  stage(): WgslStage {
    const { tile, splits } = this.#plan;
    const { batch, groups, outChannels } = this.#anchor;
    const [z, y, x] = this.#part.axes;
    const space: readonly IndexVariable[] = [
      { name: 'split', extent: splits },
      { name: 'group', extent: groups },
      { name: 'batch', extent: ceilDiv(batch, tile.batch) },
      { name: 'channel', extent: ceilDiv(outChannels, tile.channels) },
      { name: 'z', extent: z.outSize },
      { name: 'y', extent: ceilDiv(y.outSize, tile.rows) },
      { name: 'x', extent: ceilDiv(x.outSize, tile.columns) },
    ];
    const units = sizeOf(space);
    const { software, maxInvocations } = this.#features;
    const size = Math.min(sizes[software ? 'software' : 'hardware'], maxInvocations, Math.max(4, units));
    const grid = gridOf(ceilDiv(units, size), this.#features);
    this.#locate(`${grid.block} * ${size}u + lane`, units, space, grid.exact && units % size === 0);
    const sums = this.#names();
    for (const name of sums) this.#code.line(`var ${name} = 0.0f;`);
    const sweeps = sweepsOf(this.#problem, tile);
    for (const sweep of sweeps) this.#sweep(sweep, (at) => this.#turn(sweep, at));
    const { batch: b, channels, rows, columns } = tile;
    this.#store.write({ place: this.#place, extents: [b, channels, rows, columns], sum: sumName });
    if (isPadded(this.#part)) this.#repair(sweeps, sums);
    return this.#shader.stage(this.#code.text(), { size, workgroups: grid.workgroups });
  }

  #locate(unit: string, units: number, space: readonly IndexVariable[], full: boolean): void {
    const code = this.#code;
    const reached = code.keep('p', unit);
    if (!full) code.line(`if (${reached} >= ${units}u) { return; }`);
    const bounded = code.keep('p', `min(${reached}, ${units - 1}u)`);
    const { software } = this.#features;
    const { tile } = this.#plan;
    const sizes = [1, 1, tile.batch, tile.channels, 1, tile.rows, tile.columns];
    const [split, group, batch, channel, z, y, x] = decoded(code, bounded, space, software).map((name, i) =>
      name === '0' || sizes[i] === 1 ? name : code.keep(space[i]!.name, times(name, sizes[i]!)),
    ) as [string, string, string, string, string, string, string];
    this.#place = { split, group, batch, channel, z, y, x };
  }

  /** Sums in the order of the result. */
  #names(): string[] {
    const { batch, channels, rows, columns } = this.#plan.tile;
    return range(batch).flatMap((b) =>
      range(channels).flatMap((o) =>
        range(rows).flatMap((y) => range(columns).map((x) => sumName(b, o, y, x))),
      ),
    );
  }

  /** All turns of a sweep, or this invocation's part of them. `body` gets names of the first terms of a turn. */
  #sweep(sweep: Sweep, body: (at: Record<'inner' | 'z' | 'y' | 'x', string>) => void): void {
    const code = this.#code;
    const { splits } = this.#plan;
    const pieces = { inner: sweep.inner, z: sweep.z, y: sweep.y, x: sweep.x };
    const variables = Object.entries(pieces).map(([name, { turns }]) => ({ name, extent: turns }));
    const inTurn = (turn: string): void => {
      const names = this.#decodeTurn(turn, variables, sweep.turns);
      const first = (of: keyof typeof pieces, i: number): string => {
        const { start, size, turns } = pieces[of];
        if (turns === 1) return `${start}`;
        const text = affine(start, [names.get(variables[i]!)!, size]);
        return size === 1 && start === 0 ? text : code.keep('t', text);
      };
      body({ inner: first('inner', 0), z: first('z', 1), y: first('y', 2), x: first('x', 3) });
    };
    if (splits === 1 && sweep.turns === 1) {
      code.block('', () => inTurn('0u'));
      return;
    }
    const turn = code.name('k');
    const each = ceilDiv(sweep.turns, splits);
    const begin = splits === 1 ? '0u' : code.keep('k', `u32(${this.#place.split}) * ${each}u`);
    const end =
      splits === 1 ? `${sweep.turns}u` : code.keep('k', `min(${begin} + ${each}u, ${sweep.turns}u)`);
    code.block(`for (var ${turn} = ${begin}; ${turn} < ${end}; ${turn}++)`, () => inTurn(turn));
  }

  /** Quotients as products, where they are exact: a loop's turns are few enough. */
  #decodeTurn(turn: string, variables: readonly IndexVariable[], turns: number): Map<IndexVariable, string> {
    const code = this.#code;
    const names = new Map<IndexVariable, string>();
    let rest = turn;
    let bound = turns;
    for (const variable of [...variables].reverse()) {
      if (variable.extent === 1) continue;
      if (bound === variable.extent) {
        names.set(variable, code.keep('n', `i32(${rest})`));
        break;
      }
      const quotient = code.keep('q', quotientOf(rest, variable.extent, bound));
      names.set(variable, code.keep('n', `i32(${rest} - ${quotient} * ${variable.extent}u)`));
      rest = quotient;
      bound /= variable.extent;
    }
    return names;
  }

  /** Input position and element of the first result's pixel at the first terms of a turn. */
  #turn(sweep: Sweep, at: Record<'inner' | 'z' | 'y' | 'x', string>): void {
    const code = this.#code;
    const { tile } = this.#plan;
    const [z, y, x] = this.#part.axes;
    const position = this.#positions(at);
    const pixel = code.keep('a', this.#pixelIndex(at.inner, position));
    const weight = code.keep('a', this.#weightIndex(at));
    const { rhs, lhs } = this.#anchor;
    const rowMask = this.#masks(y, position.y, z, position.z);
    const columnMask = this.#masks(x, position.x);
    for (const u of range(sweep.inner.size)) {
      const weights = range(tile.channels).map((o) =>
        range(sweep.y.size).map((ty) =>
          range(sweep.x.size).map((tx) => {
            const offset = o * rhs.outer + u * rhs.inner + ty * y.rhs + tx * x.rhs;
            return code.keep('w', loadOperand(this.#shader, this.#memory.rhs, plus(weight, offset)));
          }),
        ),
      );
      for (const b of range(tile.batch)) {
        for (const row of distances(y, tile.rows, sweep.y.size)) {
          const pixels = new Map<number, string>();
          for (const column of distances(x, tile.columns, sweep.x.size)) {
            const offset = b * lhs.outer + u * lhs.inner + row * y.lhs + column * x.lhs;
            const loaded = loadOperand(this.#shader, this.#memory.lhs, plus(pixel, offset));
            const masks = [rowMask(row), columnMask(column)].filter((mask) => mask !== undefined);
            pixels.set(
              column,
              code.keep('x', masks.length > 0 ? `select(0.0f, ${loaded}, ${masks.join(' & ')})` : loaded),
            );
          }
          this.#products(sweep, b, row, pixels, weights);
        }
      }
    }
  }

  /** All products with the pixels of a row, sum after sum: the middle of a sum need not leave its register. */
  #products(
    sweep: Sweep,
    b: number,
    row: number,
    pixels: ReadonlyMap<number, string>,
    weights: readonly (readonly (readonly string[])[])[],
  ): void {
    const { tile } = this.#plan;
    const [, y, x] = this.#part.axes;
    for (const [r, ty] of meetings(y, tile.rows, sweep.y.size, row)) {
      for (const o of range(tile.channels)) {
        for (const c of range(tile.columns)) {
          const sum = sumName(b, o, r, c);
          const terms = range(sweep.x.size).map(
            (tx) => `${sum} += ${weights[o]![ty]![tx]} * ${pixels.get(c * x.stride + tx * x.dilation)};`,
          );
          this.#code.line(terms.join(' '));
        }
      }
    }
  }

  /** The input position, along each axis, that the first result and a kernel position meet. */
  #positions(at: Record<'z' | 'y' | 'x', string>): Record<'z' | 'y' | 'x', string> {
    const [z, y, x] = this.#part.axes;
    const along = (axis: ConvAxis, first: string, tap: string): string => {
      const constant = /^\d+$/.test(tap) ? Number(tap) * axis.dilation : undefined;
      const text = affine(
        (constant ?? 0) - axis.padLow,
        [first, axis.stride],
        [constant === undefined ? tap : '0', axis.dilation],
      );
      return /^\w+$/.test(text) ? text : this.#code.keep('q', text);
    };
    const place = this.#place;
    return { z: along(z, place.z, at.z), y: along(y, place.y, at.y), x: along(x, place.x, at.x) };
  }

  #pixelIndex(inner: string, position: Record<'z' | 'y' | 'x', string>): string {
    const { lhs, inChannels } = this.#anchor;
    const [z, y, x] = this.#part.axes;
    return affine(
      this.#part.lhsOffset + (this.#memory.lhs.widenedAt ?? 0),
      [this.#place.batch, lhs.outer],
      [this.#place.group, lhs.inner * inChannels],
      [inner, lhs.inner],
      [position.z, z.lhs],
      [position.y, y.lhs],
      [position.x, x.lhs],
    );
  }

  #weightIndex(at: Record<'inner' | 'z' | 'y' | 'x', string>): string {
    const { rhs, outChannels } = this.#anchor;
    const [z, y, x] = this.#part.axes;
    return affine(
      this.#part.rhsOffset + (this.#memory.rhs.widenedAt ?? 0),
      [this.#place.group, rhs.outer * outChannels],
      [this.#place.channel, rhs.outer],
      [at.inner, rhs.inner],
      [at.z, z.rhs],
      [at.y, y.rhs],
      [at.x, x.rhs],
    );
  }

  /** Names of conditions that a pixel at some distance from a position exists; undefined where all do. */
  #masks(
    axis: ConvAxis,
    position: string,
    outer?: ConvAxis,
    outerPosition?: string,
  ): (distance: number) => string | undefined {
    const code = this.#code;
    const inside = (of: ConvAxis, text: string): string => `u32(${text}) < ${of.inSize}u`;
    const around = outer && !isInside(outer) ? code.keep('m', inside(outer, outerPosition!)) : undefined;
    const known = new Map<number, string>();
    return (distance) => {
      if (isInside(axis)) return around;
      let name = known.get(distance);
      if (!name) {
        const own = inside(axis, plus(position, distance));
        name = code.keep('m', around ? `${around} & (${own})` : own);
        known.set(distance, name);
      }
      return name;
    };
  }

  /**
   * A pixel that does not exist counts as 0, which times an infinite weight is NaN, where there should be no term at all. So where a sum
   * is NaN, sums are made again term by term.
   */
  #repair(sweeps: readonly Sweep[], sums: readonly string[]): void {
    const code = this.#code;
    const { tile } = this.#plan;
    code.block(`if (is_nan(${sums.join(' + ')}))`, () => {
      const element = code.name('e');
      code.block(`for (var ${element} = 0u; ${element} < ${sumsOf(tile)}u; ${element}++)`, () => {
        const extents = [tile.batch, tile.channels, tile.rows, tile.columns];
        const space = extents.map((extent, i) => ({ name: 'boyx'[i]!, extent }));
        const [b, o, y, x] = decoded(code, element, space, this.#features.software) as [
          string,
          string,
          string,
          string,
        ];
        const sum = code.name('s');
        code.line(`var ${sum} = 0.0f;`);
        const shift = { b, o, y, x };
        for (const sweep of sweeps) this.#sweep(sweep, (at) => this.#exactTurn(sweep, at, shift, sum));
        const moved = (from: string, by: string): string => {
          const text = affine(0, [from, 1], [by, 1]);
          return text === from ? from : code.keep('g', text);
        };
        const place: Place = {
          ...this.#place,
          batch: moved(this.#place.batch, shift.b),
          channel: moved(this.#place.channel, shift.o),
          y: moved(this.#place.y, shift.y),
          x: moved(this.#place.x, shift.x),
        };
        this.#store.write({ place, extents: [1, 1, 1, 1], sum: () => sum });
      });
    });
  }

  #exactTurn(
    sweep: Sweep,
    at: Record<'inner' | 'z' | 'y' | 'x', string>,
    shift: Record<'b' | 'o' | 'y' | 'x', string>,
    sum: string,
  ): void {
    const code = this.#code;
    const [z, y, x] = this.#part.axes;
    const { lhs, rhs } = this.#anchor;
    const position = this.#positions(at);
    const pixel = code.keep(
      'a',
      affine(0, [`(${this.#pixelIndex(at.inner, position)})`, 1], [shift.b, lhs.outer]),
    );
    const weight = code.keep('a', affine(0, [`(${this.#weightIndex(at)})`, 1], [shift.o, rhs.outer]));
    const term = code.name('t');
    const terms = ['u', 'ty', 'tx'].map((name, i) => ({
      name,
      extent: [sweep.inner.size, sweep.y.size, sweep.x.size][i]!,
    }));
    code.block(`for (var ${term} = 0u; ${term} < ${sizeOf(terms)}u; ${term}++)`, () => {
      const [u, ty, tx] = decoded(code, term, terms, this.#features.software) as [string, string, string];
      const row = code.keep('q', affine(0, [shift.y, y.stride], [ty, y.dilation]));
      const column = code.keep('q', affine(0, [shift.x, x.stride], [tx, x.dilation]));
      const inside = [
        [z, position.z],
        [y, affine(0, [position.y, 1], [row, 1])],
        [x, affine(0, [position.x, 1], [column, 1])],
      ] as const;
      const checks = inside.flatMap(([axis, text]) =>
        isInside(axis) ? [] : [`(u32(${text}) < ${axis.inSize}u)`],
      );
      code.block(`if (${checks.join(' & ')})`, () => {
        const p = affine(0, [pixel, 1], [u, lhs.inner], [row, y.lhs], [column, x.lhs]);
        const w = affine(0, [weight, 1], [u, rhs.inner], [ty, y.rhs], [tx, x.rhs]);
        const { lhs: left, rhs: right } = this.#memory;
        code.line(
          `${sum} += ${loadOperand(this.#shader, right, w)} * ${loadOperand(this.#shader, left, p)};`,
        );
      });
    });
  }
}

const sumName = (b: number, o: number, y: number, x: number): string => `s${b}_${o}_${y}_${x}`;

/** Distances from the first input position that results and kernel positions meet, in order. */
function distances({ stride, dilation }: ConvAxis, count: number, taps: number): number[] {
  const all = range(count).flatMap((i) => range(taps).map((t) => i * stride + t * dilation));
  return [...new Set(all)].sort((a, b) => a - b);
}

/** The results and kernel positions that meet at a distance. */
function meetings(
  { stride, dilation }: ConvAxis,
  count: number,
  taps: number,
  distance: number,
): (readonly [result: number, tap: number])[] {
  return range(count).flatMap((i) =>
    range(taps).flatMap((t) => (i * stride + t * dilation === distance ? [[i, t] as const] : [])),
  );
}

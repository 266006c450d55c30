/**
 * Convolution as a matrix product that is never written out, through workgroup memory: for hardware.
 *
 *     sums (channels, pixels) = weights (channels, k) x patches (k, pixels)     k = (input channel, tap z, y, x), one group at a time
 *
 * Pixels run through all results of all batch entries. A workgroup has a block of channels x pixels; for a block of k at a time it copies
 * weights and patches to workgroup memory, where each invocation takes its rows and columns from. Where blocks are few, several
 * workgroups share one: each takes a part of k, and a last stage adds the parts in order.
 */
import {
  type ConvAnchor,
  type ConvAxis,
  type ConvPart,
  ceilDiv,
  type IndexVariable,
  isInside,
  isPadded,
  pointsOf,
  product,
  range,
  resultElements,
  sizeOf,
  tapsOf,
} from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import { gridOf } from '../kernels/grid.ts';
import { Shader } from '../kernels/shader.ts';
import type { ShaderFeatures, WgslStage } from '../program.ts';
import { type GemmPlan, invocationsOf, pitchOf } from './conv-gemm-plan.ts';
import { loadOperand, type Memory, workspaceOf } from './conv-operands.ts';
import { affine, decoded, times } from './conv-text.ts';
import { type ResultLayout, Results, resultMemory } from './epilogue.ts';

export function gemmStage(
  anchor: ConvAnchor,
  part: ConvPart,
  plan: GemmPlan,
  memory: Memory,
  features: ShaderFeatures,
): WgslStage {
  return new GemmStage(anchor, part, plan, memory, features).stage();
}

/** Texts of one of the pixels: its place in the input, and whether it exists. */
interface Pixel {
  readonly element: string;
  readonly positions: readonly [z: string, y: string, x: string];
  readonly exists: string | undefined;
}

class GemmStage {
  readonly #anchor: ConvAnchor;
  readonly #part: ConvPart;
  readonly #plan: GemmPlan;
  readonly #memory: Memory;
  readonly #features: ShaderFeatures;
  readonly #layout: ResultLayout;
  readonly #shader: Shader;
  readonly #code = new Code();
  readonly #pixels: number;
  readonly #depth: number;
  readonly #terms: readonly IndexVariable[];
  #place!: Record<'split' | 'group' | 'channel' | 'pixel', string>;

  constructor(anchor: ConvAnchor, part: ConvPart, plan: GemmPlan, memory: Memory, features: ShaderFeatures) {
    this.#anchor = anchor;
    this.#part = part;
    this.#plan = plan;
    this.#memory = memory;
    this.#features = features;
    const points = pointsOf(part);
    this.#pixels = anchor.batch * points;
    this.#depth = anchor.inChannels * tapsOf(part);
    const [z, y, x] = part.axes;
    this.#terms = [
      { name: 'inner', extent: anchor.inChannels },
      { name: 'z', extent: z.kernelSize },
      { name: 'y', extent: y.kernelSize },
      { name: 'x', extent: x.kernelSize },
    ];
    const width = points % 4 === 0 && plan.tile.columns === 4 ? 4 : 1;
    this.#layout = { extent: points, width, ragged: false };
    const more = workspaceOf(memory);
    const plain = { ...more, stored: new Set(memory.sink === 'plain' ? [2] : []), atomic: new Set<number>() };
    this.#shader = new Shader(
      anchor,
      features,
      memory.sink === 'results' ? resultMemory(anchor, this.#layout, more) : plain,
    );
  }

  stage(): WgslStage {
    const { tile, splits } = this.#plan;
    const { groups, outChannels } = this.#anchor;
    const blocks = {
      split: { name: 'split', extent: splits },
      group: { name: 'group', extent: groups },
      pixel: { name: 'pixel', extent: ceilDiv(this.#pixels, tile.pixels) },
      channel: { name: 'channel', extent: ceilDiv(outChannels, tile.channels) },
    };
    const space = Object.values(blocks);
    const grid = gridOf(sizeOf(space), this.#features);
    const code = this.#code;
    const block = code.keep('p', grid.block);
    if (!grid.exact) code.line(`if (${block} >= ${sizeOf(space)}u) { return; }`);
    const [split, group, pixels, channels] = decoded(code, block, space, false) as [
      string,
      string,
      string,
      string,
    ];
    const scaled = (name: string, by: number): string =>
      name === '0' ? name : code.keep('p', times(name, by));
    this.#place = {
      split,
      group,
      channel: scaled(channels, tile.channels),
      pixel: scaled(pixels, tile.pixels),
    };
    const sums = this.#sumNames();
    for (const name of sums) code.line(`var ${name} = 0.0f;`);
    const terms = this.#loop();
    const across = tile.pixels / tile.columns;
    const rows = `i32(lane / ${across}u) * ${tile.rows}`;
    const columns = `i32(lane % ${across}u) * ${tile.columns}`;
    const channel = code.keep('o', affine(0, [this.#place.channel, 1], [rows, 1]));
    const pixel = code.keep('n', affine(0, [this.#place.pixel, 1], [columns, 1]));
    if (isPadded(this.#part)) this.#repair(sums, channel, pixel, terms);
    if (this.#memory.sink === 'results') this.#storeResults(channel, pixel);
    else this.#storeSums(channel, pixel);
    return this.#shader.stage(code.text(), { size: invocationsOf(tile), workgroups: grid.workgroups });
  }

  #sumNames(): string[] {
    const { rows, columns } = this.#plan.tile;
    return range(rows).flatMap((i) => range(columns).map((j) => sumName(i, j)));
  }

  /** Terms of this workgroup, as i32. */
  #loop(): { begin: string; end: string } {
    const code = this.#code;
    const { tile, splits } = this.#plan;
    const each = ceilDiv(ceilDiv(this.#depth, tile.depth), splits) * tile.depth;
    const begin = splits === 1 ? '0' : code.keep('k', `${this.#place.split} * ${each}`);
    const end = splits === 1 ? `${this.#depth}` : code.keep('k', `min(${begin} + ${each}, ${this.#depth})`);
    const weights = this.#shader.shared('f32', tile.depth * pitchOf(tile));
    const patches = this.#shader.shared('f32', tile.depth * tile.pixels);
    const copyPatches = this.#patchCopier(patches, end);
    const k = code.name('k');
    code.block(`for (var ${k} = ${begin}; ${k} < ${end}; ${k} += ${tile.depth})`, () => {
      this.#copyWeights(weights, k, end);
      copyPatches(k);
      code.line('workgroupBarrier();');
      this.#multiply(weights, patches);
      code.line('workgroupBarrier();');
    });
    return { begin, end };
  }

  #multiply(weights: string, patches: string): void {
    const code = this.#code;
    const { tile } = this.#plan;
    const across = tile.pixels / tile.columns;
    const row = code.keep('r', `lane / ${across}u * ${tile.rows}u`);
    const column = code.keep('c', `lane % ${across}u * ${tile.columns}u`);
    const d = code.name('d');
    code.block(`for (var ${d} = 0u; ${d} < ${tile.depth}u; ${d}++)`, () => {
      const a = range(tile.rows).map((i) =>
        code.keep('w', `${weights}[${d} * ${pitchOf(tile)}u + ${row} + ${i}u]`),
      );
      const b = range(tile.columns).map((j) =>
        code.keep('x', `${patches}[${d} * ${tile.pixels}u + ${column} + ${j}u]`),
      );
      for (const i of range(tile.rows))
        for (const j of range(tile.columns)) code.line(`${sumName(i, j)} += ${a[i]} * ${b[j]};`);
    });
  }

  /** Neighbouring invocations copy neighbouring weights. */
  #copyWeights(weights: string, k: string, end: string): void {
    const code = this.#code;
    const { tile } = this.#plan;
    const { rhs, outChannels } = this.#anchor;
    const innermost = this.#part.axes.findLast(({ kernelSize }) => kernelSize > 1)?.rhs ?? rhs.inner;
    const alongTerms = Math.abs(innermost) <= Math.abs(rhs.outer);
    this.#copies(tile.channels, (element) => {
      const low = alongTerms ? tile.depth : tile.channels;
      const first = code.keep('e', `${element} % ${low}u`);
      const second = code.keep('e', `${element} / ${low}u`);
      const [d, o] = alongTerms ? [first, second] : [second, first];
      const term = code.keep('t', `${k} + i32(${d})`);
      const channel = code.keep('o', affine(0, [this.#place.channel, 1], [`i32(${o})`, 1]));
      const at = code.keep('a', this.#weightIndex(channel, this.#decodeTerm(term)));
      const load = loadOperand(this.#shader, this.#memory.rhs, at);
      const checks = [
        `(${term} < ${end})`,
        ...(outChannels % tile.channels === 0 ? [] : [`(${channel} < ${outChannels})`]),
      ];
      code.line(
        `${weights}[${d} * ${pitchOf(tile)}u + ${o}] = select(0.0f, ${load}, ${checks.join(' & ')});`,
      );
    });
  }

  /** Runs `copy` for every element of a block of k that this invocation copies. */
  #copies(across: number, copy: (element: string) => void): void {
    const { tile } = this.#plan;
    const size = invocationsOf(tile);
    const count = across * tile.depth;
    for (const i of range(ceilDiv(count, size))) {
      const element = i === 0 ? 'lane' : `(lane + ${i * size}u)`;
      if ((i + 1) * size <= count) this.#code.block('', () => copy(element));
      else this.#code.block(`if (${element} < ${count}u)`, () => copy(element));
    }
  }

  /** Invocations keep to their pixels, which are taken apart once, before the loop. */
  #patchCopier(patches: string, end: string): (k: string) => void {
    const code = this.#code;
    const { tile } = this.#plan;
    const size = invocationsOf(tile);
    const columns = Math.max(1, tile.pixels / size);
    const perTurn = Math.max(1, size / tile.pixels);
    const pixels = range(columns).map((c) => {
      const own = code.keep('c', columns === 1 ? `lane % ${tile.pixels}u` : `lane + ${c * size}u`);
      return { own, ...this.#pixel(affine(0, [this.#place.pixel, 1], [`i32(${own})`, 1])) };
    });
    const row = perTurn === 1 ? '0u' : code.keep('r', `lane / ${tile.pixels}u`);
    return (k) => {
      for (const step of range(tile.depth / perTurn)) {
        code.block('', () => {
          const d = code.keep('d', `${row} + ${step * perTurn}u`);
          const term = code.keep('t', `${k} + i32(${d})`);
          const inside = code.keep('m', `${term} < ${end}`);
          const decoded = this.#decodeTerm(term);
          for (const pixel of pixels) {
            const { index, checks } = this.#patchElement(pixel, decoded);
            const load = loadOperand(this.#shader, this.#memory.lhs, index);
            const all = [inside, ...(pixel.exists ? [pixel.exists] : []), ...checks];
            code.line(
              `${patches}[${d} * ${tile.pixels}u + ${pixel.own}] = select(0.0f, ${load}, ${all.join(' & ')});`,
            );
          }
        });
      }
    };
  }

  /** Where the first kernel position of a result meets the input. */
  #pixel(number: string): Pixel {
    const code = this.#code;
    const { lhs, inChannels } = this.#anchor;
    const { axes } = this.#part;
    const pixel = code.keep('n', number);
    const names = this.#decodePixel(pixel);
    const positions = axes.map((axis, i) => {
      const text = affine(-axis.padLow, [names[i + 1]!, axis.stride]);
      return /^\w+$/.test(text) ? text : code.keep('q', text);
    }) as unknown as readonly [string, string, string];
    const element = code.keep(
      'a',
      affine(
        this.#part.lhsOffset + (this.#memory.lhs.widenedAt ?? 0),
        [names[0]!, lhs.outer],
        [this.#place.group, lhs.inner * inChannels],
        ...axes.map((axis, i) => [positions[i]!, axis.lhs] as const),
      ),
    );
    const { tile } = this.#plan;
    const exists =
      this.#pixels % tile.pixels === 0 ? undefined : code.keep('m', `${pixel} < ${this.#pixels}`);
    return { element, positions, exists };
  }

  /** Batch entry and output position, as i32. */
  #decodePixel(pixel: string): readonly string[] {
    const { batch } = this.#anchor;
    const extents = [batch, ...this.#part.axes.map(({ outSize }) => outSize)];
    const space = extents.map((extent, i) => ({ name: `p${i}`, extent }));
    return decoded(this.#code, `u32(${pixel})`, space, false);
  }

  /** Input channel and kernel position, as i32. */
  #decodeTerm(term: string): readonly string[] {
    return decoded(this.#code, `u32(${term})`, this.#terms, false);
  }

  #weightIndex(channel: string, [inner, ...taps]: readonly string[]): string {
    const { rhs, outChannels } = this.#anchor;
    return affine(
      this.#part.rhsOffset + (this.#memory.rhs.widenedAt ?? 0),
      [this.#place.group, rhs.outer * outChannels],
      [channel, rhs.outer],
      [inner!, rhs.inner],
      ...this.#part.axes.map((axis, i) => [taps[i]!, axis.rhs] as const),
    );
  }

  #patchElement(
    { element, positions }: Pixel,
    [inner, ...taps]: readonly string[],
  ): { index: string; checks: string[] } {
    const { axes } = this.#part;
    const index = affine(
      0,
      [element, 1],
      [inner!, this.#anchor.lhs.inner],
      ...axes.map((axis, i) => [taps[i]!, axis.dilation * axis.lhs] as const),
    );
    const check = (axis: ConvAxis, i: number): string =>
      `(u32(${affine(0, [positions[i]!, 1], [taps[i]!, axis.dilation])}) < ${axis.inSize}u)`;
    return { index, checks: axes.flatMap((axis, i) => (isInside(axis) ? [] : [check(axis, i)])) };
  }

  /**
   * A pixel that does not exist counts as 0, which times an infinite weight is NaN, where there should be no term at all. So where a sum
   * is NaN, sums are made again term by term.
   */
  #repair(
    sums: readonly string[],
    channel: string,
    pixel: string,
    { begin, end }: { readonly begin: string; readonly end: string },
  ): void {
    const code = this.#code;
    const { tile } = this.#plan;
    code.block(`if (is_nan(${sums.join(' + ')}))`, () => {
      const element = code.name('e');
      code.block(`for (var ${element} = 0u; ${element} < ${sums.length}u; ${element}++)`, () => {
        const o = code.keep('o', `${channel} + i32(${element} / ${tile.columns}u)`);
        const at = this.#pixel(`${pixel} + i32(${element} % ${tile.columns}u)`);
        const sum = code.name('s');
        code.line(`var ${sum} = 0.0f;`);
        const term = code.name('t');
        code.block(`for (var ${term} = ${begin}; ${term} < ${end}; ${term}++)`, () => {
          const decoded = this.#decodeTerm(term);
          const { index, checks } = this.#patchElement(at, decoded);
          code.block(`if (${checks.join(' & ')})`, () => {
            const weight = loadOperand(this.#shader, this.#memory.rhs, this.#weightIndex(o, decoded));
            code.line(`${sum} += ${weight} * ${loadOperand(this.#shader, this.#memory.lhs, index)};`);
          });
        });
        for (const [i, name] of sums.entries())
          code.line(`${name} = select(${name}, ${sum}, ${element} == ${i}u);`);
      });
    });
  }

  #channelExists(channel: string, i: number): string | undefined {
    const { outChannels } = this.#anchor;
    if (outChannels % this.#plan.tile.channels === 0) return undefined;
    return `${affine(i, [channel, 1])} < ${outChannels}`;
  }

  /** The runs of an invocation, each with the first of its pixels. */
  #runs(pixel: string, run: (number: number, names: readonly string[]) => void): void {
    const code = this.#code;
    const { tile } = this.#plan;
    const { width } = this.#layout;
    for (let j = 0; j < tile.columns; j += width) {
      const first = code.keep('n', affine(j, [pixel, 1]));
      const body = (): void => run(j, this.#decodePixel(first));
      if (this.#pixels % tile.pixels === 0) code.block('', body);
      else code.block(`if (${first} < ${this.#pixels})`, body);
    }
  }

  #storeResults(channel: string, pixel: string): void {
    const code = this.#code;
    const { tile } = this.#plan;
    const { width } = this.#layout;
    const { groups, outChannels } = this.#anchor;
    const [, y, x] = this.#part.axes;
    const results = new Results(this.#shader, code, this.#anchor, this.#layout, this.#features.software);
    this.#runs(pixel, (j, [b, ...at]) => {
      const column = affine(0, [at[0]!, y.outSize * x.outSize], [at[1]!, x.outSize], [at[2]!, 1]);
      const image = code.keep(
        'r',
        affine(0, [b!, groups * outChannels], [this.#place.group, outChannels], [channel, 1]),
      );
      results.write(
        code.keep('c', `u32(${column})`),
        range(tile.rows).map((i) => ({
          row: code.keep('r', `u32(${affine(i, [image, 1])})`),
          exists: this.#channelExists(channel, i),
          values: range(width).map((c) => sumName(i, j + c)),
        })),
      );
    });
  }

  #storeSums(channel: string, pixel: string): void {
    const code = this.#code;
    const { tile } = this.#plan;
    const { groups, outChannels, outSize } = this.#anchor;
    const target = this.#memory.sink === 'plain' ? this.#shader.buffer(2) : 'workspace';
    const whole = product(outSize);
    // Results of a lattice are no neighbours.
    for (let j = 0; j < tile.columns; j++) {
      const number = code.keep('n', affine(j, [pixel, 1]));
      code.block(`if (${number} < ${this.#pixels})`, () => {
        const [b, ...at] = this.#decodePixel(number);
        const first = code.keep(
          'at',
          affine(
            this.#part.outOffset,
            [this.#place.split, this.#plan.splits > 1 ? resultElements(this.#anchor) : 0],
            [b!, groups * outChannels * whole],
            [this.#place.group, outChannels * whole],
            [channel, whole],
            ...this.#part.axes.map((axis, i) => [at[i]!, axis.out] as const),
          ),
        );
        for (const i of range(tile.rows)) {
          const exists = this.#channelExists(channel, i);
          const store = `${target}[${affine(i * whole, [first, 1])}] = ${sumName(i, j)};`;
          code.line(exists ? `if (${exists}) { ${store} }` : store);
        }
      });
    }
  }
}

const sumName = (i: number, j: number): string => `s${i}_${j}`;

/**
 * The core of a convolution: a fragment makes sums for four neighbouring results of a row and up to eight output channels, each channel
 * for a texture of its own.
 *
 *     sum[o] += weights[c, t][o] * pixels[c, row, 4 * i + t ..]     for every input channel c and kernel position t
 *
 * Texels of a row of pixels are fetched once for all positions along it, which see them shifted. Long rows of a kernel (those of its
 * gradient are as long as the image) go by in a loop. Kernel rows beyond the edge of the image are left out; beside its rows are
 * zeros. A zero times an infinite weight is NaN, where there should be no term at all, so where a sum is NaN all are made again, term
 * by term. Fragments are numbered by part, lattice, image, group, block of channels, and place.
 */
import { type ConvAxis, product, range } from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import type { GlslStage, ShaderFeatures, StageBuffer } from '../program.ts';
import type { Written } from './conv-operands.ts';
import { type ConvPlan, isEmpty, isFilled, type Lattice, placeOf } from './conv-plan.ts';
import { components, decoded, plus, times } from './text.ts';

/** Longer rows of a kernel go by in a loop. */
const mostUnrolled = 12;
/** Terms that are added to a sum at once. */
const termsAtOnce = 4;

interface Place {
  readonly channels: string;
  readonly taps: string;
  readonly z: string;
  readonly y: string;
  readonly column: string;
}

/** The input position of the first kernel position along an axis, and the kernel positions that meet the input. */
interface Reach {
  readonly low: string;
  readonly from: string;
  readonly to: string;
}

/** Names of coordinates in a texture. */
interface At {
  readonly x: string;
  readonly y: string;
}

export class ConvCore {
  readonly #plan: ConvPlan;
  readonly #features: ShaderFeatures;
  readonly #code = new Code();
  readonly #pixels: Written;
  readonly #weights: Written;
  /** Texels from one row, plane, channel and image to the next. */
  readonly #strides: {
    readonly y: number;
    readonly z: number;
    readonly channel: number;
    readonly image: number;
  };
  /** Texels of the weights of an input channel. */
  readonly #kernel: number;
  #sums: readonly string[] = [];

  constructor(plan: ConvPlan, pixels: Written, weights: Written, features: ShaderFeatures) {
    this.#plan = plan;
    this.#pixels = pixels;
    this.#weights = weights;
    this.#features = features;
    const { anchor, inSize, kernel } = plan;
    const y = plan.pixels.phases * plan.pixels.pitch;
    const channel = inSize[0] * inSize[1] * y;
    const image = anchor.groups * anchor.inChannels * channel;
    this.#strides = { y, z: inSize[1] * y, channel, image };
    this.#kernel = kernel.size[0] * kernel.size[1] * plan.weights.pitch;
  }

  emit(inputs: readonly StageBuffer[], outputs: readonly StageBuffer[]): GlslStage {
    const code = this.#code;
    this.#all();
    const bits = this.#sums.map((sum) => `floatBitsToUint(${sum})`);
    const isOne = outputs.length === 1;
    for (const [i, text] of bits.entries()) code.line(isOne ? `return ${text};` : `o${i} = ${text};`);
    const head = isOne
      ? 'uvec4 texel(int index)'
      : `void texels(int index, ${outputs.map((_, i) => `out uvec4 o${i}`).join(', ')})`;
    const { rows, blocks, chunks, kernel } = this.#plan;
    const { inChannels, inSize, kernelSize } = this.#plan.anchor;
    const fetches = ['pixels', 'weights'].map(
      (name, i) => `vec4 ${name}(int x, int y) {
  return uintBitsToFloat(texelFetch(t${i}, ivec2(x, y), 0));
}
`,
    );
    const terms = Math.min(inChannels, chunks[0]) * Math.min(kernel.size[1], chunks[1]) * kernel.size[2];
    return {
      code: [
        `// ${rows} by 4 sums of a convolution of ${inChannels} x ${inSize.join(' x ')} with ${kernelSize.join(' x ')}`,
        ...fetches,
        ...(this.#plan.lattices.some(isFilled) ? [helpers] : []),
        `${head} {`,
        code.text(),
        '}',
        '',
      ].join('\n'),
      inputs,
      outputs,
      texels: blocks,
      operations: terms * kernel.size[0] * (5 * rows + 8),
    };
  }

  #all(): void {
    const code = this.#code;
    const { anchor, lattices, channelBlocks, points, columnBlocks, parts, chunks, rows } = this.#plan;
    const { batch, groups, inChannels } = anchor;
    const extents = [
      ...[...parts, lattices.length],
      ...[batch, groups, channelBlocks],
      ...[points[0], points[1], columnBlocks],
    ];
    const [channels, taps, lattice, image, group, block, z, y, column] = decoded(
      code,
      'index',
      extents,
      this.#features.software,
    ) as [string, string, string, string, string, string, string, string, string];
    const firstChannel = times(channels, chunks[0]);
    const channel = plus(times(group, inChannels), firstChannel);
    const strides = this.#strides;
    const pixel = code.keep(
      'int',
      'pixel',
      plus(times(image, strides.image), times(channel, strides.channel), column),
    );
    const weight = code.keep(
      'int',
      'weight',
      plus(
        times(plus(times(group, channelBlocks), block), inChannels * this.#kernel),
        times(firstChannel, this.#kernel),
      ),
    );
    const count =
      parts[0] === 1
        ? `${inChannels}`
        : code.keep('int', 'channels', `min(${inChannels} - ${wrapped(firstChannel)}, ${chunks[0]})`);
    this.#sums = range(rows).map(() => code.keep('vec4', 'sum', 'vec4(0)'));
    const place = { channels: count, taps, z, y, column };
    for (const [i, each] of lattices.entries()) {
      const body = (): void => this.#lattice(each, place, pixel, weight);
      if (lattices.length === 1) body();
      else code.block(`${i === 0 ? '' : 'else '}if (${lattice} == ${i})`, body);
    }
  }

  #lattice(lattice: Lattice, place: Place, pixel: string, weight: string): void {
    const code = this.#code;
    const { axes } = lattice;
    if (isEmpty(lattice)) return;
    const [z, y] = [this.#reach(axes[0], place.z), this.#reach(axes[1], place.y, place.taps)];
    const { phases, pitch, shift } = this.#plan.pixels;
    this.#rows(lattice, place, pixel, weight, z, y, (start, weights) => {
      const rows = range(phases).map((phase) =>
        this.#at(plus(start, phase * pitch), this.#pixels.texels, shift),
      );
      this.#row(lattice, rows, weights);
    });
    if (!isFilled(lattice)) return;
    const isNan = this.#sums.map((sum) => `has_nan(${sum})`).join(' || ');
    code.block(`if (${isNan})`, () => {
      for (const sum of this.#sums) code.line(`${sum} = vec4(0);`);
      const first = code.keep('int', 'first', plus(times(place.column, 4 * axes[2].stride), -axes[2].padLow));
      this.#rows(lattice, place, pixel, weight, z, y, (start, weights) =>
        this.#exactRow(lattice, start, weights, first),
      );
    });
  }

  #reach(axis: ConvAxis, at: string, part?: string): Reach {
    const code = this.#code;
    const { stride, dilation, padLow, inSize, outSize, kernelSize } = axis;
    const text = plus(times(at, stride), -padLow);
    const low = /^\w+$/.test(text) ? text : code.keep('int', 'low', text);
    let [from, to] = ['0', `${kernelSize}`];
    const isInside = padLow <= 0 && (outSize - 1) * stride + (kernelSize - 1) * dilation - padLow < inSize;
    if (!isInside) {
      const above = dilation === 1 ? `-${wrapped(low)}` : `(${dilation - 1} - ${wrapped(low)}) / ${dilation}`;
      const below =
        dilation === 1
          ? `${inSize} - ${wrapped(low)}`
          : `(${inSize + dilation - 1} - ${wrapped(low)}) / ${dilation}`;
      from = code.keep('int', 'from', `max(0, ${above})`);
      to = code.keep('int', 'to', `min(${kernelSize}, ${below})`);
    }
    const chunk = this.#plan.chunks[1];
    if (part === undefined || this.#plan.parts[1] === 1) return { low, from, to };
    const first = code.keep('int', 'from', times(part, chunk));
    return {
      low,
      from: code.keep('int', 'from', `max(${from}, ${first})`),
      to: code.keep('int', 'to', `min(${to}, ${first} + ${chunk})`),
    };
  }

  /** Visits all rows of pixels with the rows of the kernel that they meet. */
  #rows(
    lattice: Lattice,
    place: Place,
    pixel: string,
    weight: string,
    z: Reach,
    y: Reach,
    visit: (pixel: string, weights: At) => void,
  ): void {
    const code = this.#code;
    const { axes, first, step } = lattice;
    const { kernel, weights } = this.#plan;
    const strides = this.#strides;
    const plane = kernel.size[1] * weights.pitch;
    const start = plus(pixel, times(wrapped(z.low), strides.z), times(wrapped(y.low), strides.y));
    const offset = first[0] * plane + first[1] * weights.pitch;
    const p = code.keep('int', 'p', start);
    const w = code.keep('int', 'w', plus(weight, offset));
    const c = code.name('c');
    code.block(`for (int ${c} = 0; ${c} < ${place.channels}; ${c}++)`, () => {
      this.#along(axes[0], z, [strides.z, step[0] * plane], [p, w], (pz, wz) =>
        this.#along(axes[1], y, [strides.y, step[1] * weights.pitch], [pz, wz], (py, wy) =>
          visit(
            /^\w+$/.test(py) ? py : code.keep('int', 'a', py),
            this.#at(wy, this.#weights.texels, this.#features.rowShift),
          ),
        ),
      );
      code.line(`${p} += ${strides.channel};`);
      code.line(`${w} += ${this.#kernel};`);
    });
  }

  /** Visits the kernel positions of an axis. Strides and starts are those of pixels and of weights. */
  #along(
    { kernelSize, dilation }: ConvAxis,
    { from, to }: Reach,
    [pixelStride, weightStride]: readonly [number, number],
    [pixels, weights]: readonly [string, string],
    visit: (pixels: string, weights: string) => void,
  ): void {
    if (kernelSize === 1 && from === '0' && to === '1') {
      visit(pixels, weights);
      return;
    }
    const code = this.#code;
    const tap = code.name('k');
    code.block(`for (int ${tap} = ${from}; ${tap} < ${to}; ${tap}++)`, () =>
      visit(plus(pixels, times(tap, pixelStride * dilation)), plus(weights, times(tap, weightStride))),
    );
  }

  #at(texel: string, total: number, shift: number): At {
    const code = this.#code;
    const name = /^\w+$/.test(texel) ? texel : code.keep('int', 'a', texel);
    if (total <= 2 ** shift) return { x: name, y: '0' };
    return {
      x: code.keep('int', 'x', `${name} & ${2 ** shift - 1}`),
      y: code.keep('int', 'y', `${name} >> ${shift}`),
    };
  }

  /** A row of the kernel over the phases of a row of pixels. */
  #row(lattice: Lattice, pixels: readonly At[], weights: At): void {
    const code = this.#code;
    const axis = lattice.axes[2];
    const { kernelSize, dilation } = axis;
    if (kernelSize <= mostUnrolled) {
      this.#taps(lattice, pixels, weights, kernelSize, new Map());
      return;
    }
    // So many positions that the next of them meets the pixels that the first has met, some whole texels further.
    const { stride } = this.#plan.pixels;
    const size = 4 * stride;
    const { lanes, vectors } = this.#plan.weights;
    const moves = (lattice.step[2] * size * vectors) / (lanes === 'positions' ? 4 : 1);
    const movedPixels = pixels.map(({ x, y }): At => ({ x: code.keep('int', 'x', x), y }));
    const movedWeights = { x: code.keep('int', 'x', weights.x), y: weights.y };
    const kept = new Map<string, string>();
    const { phase, column } = placeOf(this.#plan.pixels, axis, 0);
    const next = placeOf(this.#plan.pixels, axis, size - 1);
    const isKept = stride === 1 && dilation === 1 && (next.column + 3) >> 2 >= (column >> 2) + 1;
    if (isKept) {
      const key = `${phase} ${column >> 2}`;
      kept.set(key, code.keep('vec4', 'v', this.#pixelText(movedPixels, key)));
    }
    const tap = code.name('k');
    code.block(`for (int ${tap} = 0; ${tap} < ${Math.floor(kernelSize / size)}; ${tap}++)`, () => {
      const known = new Map(kept);
      this.#taps(lattice, movedPixels, movedWeights, size, known);
      for (const [key, name] of kept) code.line(`${name} = ${known.get(moved(key, dilation))};`);
      for (const { x } of movedPixels) code.line(`${x} += ${dilation};`);
      code.line(`${movedWeights.x} += ${moves};`);
    });
    const rest = kernelSize % size;
    if (rest > 0) this.#taps(lattice, movedPixels, movedWeights, rest, new Map(kept));
  }

  /** The first `count` positions of a row. `known` are texels of pixels that have a name. */
  #taps(
    lattice: Lattice,
    pixels: readonly At[],
    weights: At,
    count: number,
    known: Map<string, string>,
  ): void {
    const code = this.#code;
    const weight = this.#weightsOf(lattice, weights);
    const texel = (phase: number, number: number): string => {
      const key = `${phase} ${number}`;
      let name = known.get(key);
      if (!name) {
        name = code.keep('vec4', 'v', this.#pixelText(pixels, key));
        known.set(key, name);
      }
      return name;
    };
    for (let from = 0; from < count; from += termsAtOnce) {
      const taps = range(Math.min(termsAtOnce, count - from)).map((i) => from + i);
      const shifted = taps.map((tap) => {
        const { phase, column } = placeOf(this.#plan.pixels, lattice.axes[2], tap);
        const first = texel(phase, column >> 2);
        const shift = column & 3;
        if (shift === 0) return first;
        const names = components.join('');
        const second = texel(phase, (column >> 2) + 1);
        return code.keep(
          'vec4',
          'v',
          `vec4(${first}.${names.slice(shift)}, ${second}.${names.slice(0, shift)})`,
        );
      });
      const w = taps.map(weight);
      for (const [row, sum] of this.#sums.entries()) {
        const terms = shifted.map((v, i) => `${w[i]![row]} * ${v}`);
        code.line(`${sum} += ${terms.join(' + ')};`);
      }
    }
  }

  /** The weights of a position for each channel, as texts. */
  #weightsOf({ first, step }: Lattice, { x, y }: At): (tap: number) => readonly string[] {
    const { lanes, vectors } = this.#plan.weights;
    const known = new Map<number, string>();
    const texel = (number: number): string => {
      let name = known.get(number);
      if (!name) {
        name = this.#code.keep('vec4', 'w', `weights(${plus(x, number)}, ${y})`);
        known.set(number, name);
      }
      return name;
    };
    return (tap) => {
      const position = first[2] + step[2] * tap;
      if (lanes === 'positions') return [`${texel(position >> 2)}.${components[position & 3]}`];
      const texels = range(vectors).map((i) => texel(position * vectors + i));
      return this.#sums.map((_, row) => `${texels[row >> 2]}.${components[row & 3]}`);
    };
  }

  #pixelText(pixels: readonly At[], key: string): string {
    const [phase, number] = key.split(' ').map(Number) as [number, number];
    const { x, y } = pixels[phase]!;
    return `pixels(${plus(x, number)}, ${y})`;
  }

  /** The same without terms for pixels that do not exist. `first` is the position of the first result's first pixel. */
  #exactRow(lattice: Lattice, start: string, weights: At, first: string): void {
    const code = this.#code;
    const { padLow, stride, pitch, shift } = this.#plan.pixels;
    const axis = lattice.axes[2];
    const tap = code.name('k');
    code.block(`for (int ${tap} = 0; ${tap} < ${axis.kernelSize}; ${tap}++)`, () => {
      const at = code.keep('int', 'a', plus(times(tap, axis.dilation), padLow - axis.padLow));
      const phase = stride === 1 ? '0' : code.keep('int', 'a', `${at} % ${stride}`);
      const column = stride === 1 ? at : code.keep('int', 'a', `${at} / ${stride}`);
      const texel = plus(start, times(phase, pitch), `(${column} >> 2)`);
      const { x, y } = this.#at(texel, this.#pixels.texels, shift);
      const v = code.keep('vec4', 'v', `four_of(pixels(${x}, ${y}), pixels(${x} + 1, ${y}), ${column} & 3)`);
      const lanes = `ivec4(0, ${axis.stride}, ${2 * axis.stride}, ${3 * axis.stride})`;
      const position = code.keep('ivec4', 'a', `${plus(first, times(tap, axis.dilation))} + ${lanes}`);
      const exists = code.keep('uvec4', 'a', `uvec4(lessThan(uvec4(${position}), uvec4(${axis.inSize})))`);
      const w = this.#weightsAt(lattice, weights, tap);
      for (const [row, sum] of this.#sums.entries())
        code.line(`${sum} += where_exists(${w[row]} * ${v}, ${exists});`);
    });
  }

  /** As `#weightsOf`, for a position that is known when the shader runs. */
  #weightsAt({ first, step }: Lattice, { x, y }: At, tap: string): readonly string[] {
    const code = this.#code;
    const { lanes, vectors } = this.#plan.weights;
    const position = plus(times(tap, step[2]), first[2]);
    if (lanes === 'positions') {
      const at = code.keep('int', 'a', position);
      return [`weights(${plus(x, `(${at} >> 2)`)}, ${y})[${at} & 3]`];
    }
    const texels = range(vectors).map((i) =>
      code.keep('vec4', 'w', `weights(${plus(x, times(position, vectors), i)}, ${y})`),
    );
    return this.#sums.map((_, row) => `${texels[row >> 2]}.${components[row & 3]}`);
  }
}

/** A text that can be a factor. */
const wrapped = (text: string): string => (/^\w+$/.test(text) ? text : `(${text})`);

const moved = (key: string, by: number): string => {
  const [phase, number] = key.split(' ').map(Number) as [number, number];
  return `${phase} ${number + by}`;
};

const helpers = `bool has_nan(vec4 sums) {
  return any(greaterThan(floatBitsToUint(sums) & 0x7fffffffu, uvec4(0x7f800000u)));
}

vec4 four_of(vec4 a, vec4 b, int shift) {
  vec4 even = (shift & 2) == 0 ? a : vec4(a.zw, b.xy);
  return (shift & 1) == 0 ? even : vec4(even.yzw, (shift & 2) == 0 ? b.x : b.z);
}

vec4 where_exists(vec4 terms, uvec4 exists) {
  return uintBitsToFloat(floatBitsToUint(terms) & (0u - exists));
}
`;

export const blockPoints = ({ points, columnBlocks }: ConvPlan): number =>
  product([points[0], points[1], columnBlocks]);

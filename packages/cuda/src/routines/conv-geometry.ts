/**
 * Convolution as a matrix product that is never written out (implicit GEMM), one group at a time:
 *
 *     sums (channels, pixels) = weights (channels, terms) x patches (terms, pixels)
 *
 * Pixels run through all results of all batch entries, terms through input channels and kernel positions (z, y, x). An element of the
 * input is found in two halves, so that nothing is divided in the inner loop:
 *
 *     index = start(pixel) + offset(term)      position along an axis = start_d(pixel) + offset_d(term), which may lie outside
 */
import {
  type ConvAnchor,
  type ConvAxis,
  type ConvPart,
  isInside,
  pointsOf,
  tapsOf,
} from '@tutti/core/backend';
import { all, lines, sum, times } from './text.ts';

/** A plain convolution, or a lattice of one, with everything that its texts need. */
export interface Geometry {
  readonly anchor: ConvAnchor;
  readonly part: ConvPart;
  /** Results of a channel, of a batch entry and of all. */
  readonly points: number;
  readonly pixels: number;
  readonly terms: number;
}

export const geometryOf = (anchor: ConvAnchor, part: ConvPart): Geometry => ({
  anchor,
  part,
  points: pointsOf(part),
  pixels: anchor.batch * pointsOf(part),
  terms: anchor.inChannels * tapsOf(part),
});

const axisNames = ['z', 'y', 'x'] as const;
type AxisName = (typeof axisNames)[number];

export const namedAxes = ({ part }: Geometry): readonly (readonly [AxisName, ConvAxis])[] =>
  axisNames.map((name, d) => [name, part.axes[d]!] as const);

/** A position that lies outside of every input, also after an offset or another such position is added. */
const outside = '-(1 << 30)';

/** Statements that take the row-major position `number` apart: names `prefix` + name, for extents above 1. */
function decodeText(
  number: string,
  prefix: string,
  extents: readonly (readonly [name: string, extent: number])[],
): { readonly text: string; readonly name: (name: string) => string } {
  const long = extents.filter(([, extent]) => extent > 1);
  const statements: string[] = [];
  let rest = number;
  for (let i = long.length - 1; i > 0; i--) {
    const [name, extent] = long[i]!;
    const quotient = `${prefix}_rest${i}`;
    statements.push(
      `const int ${quotient} = (int)((unsigned)${rest} / ${extent}u);`,
      `const int ${prefix}_${name} = ${rest} - ${quotient} * ${extent};`,
    );
    rest = quotient;
  }
  if (long[0]) statements.push(`const int ${prefix}_${long[0][0]} = ${rest};`);
  const known = new Set(long.map(([name]) => name));
  return {
    text: lines(...statements),
    name: (name) => (known.has(name) ? `${prefix}_${name}` : '0'),
  };
}

/** Names the batch entry and the position of pixel `number`: `at_batch`, `at_z`, `at_y`, `at_x`. */
export function decodePixel(
  { anchor, part }: Geometry,
  number: string,
): { readonly text: string; readonly name: (name: string) => string } {
  const [z, y, x] = part.axes;
  return decodeText(number, 'at', [
    ['batch', anchor.batch],
    ['z', z.outSize],
    ['y', y.outSize],
    ['x', x.outSize],
  ]);
}

/** Statements that give `target` ({start, z, y, x}) for pixel `number` of group `matrix`; outside the input where there is no such pixel. */
export function pixelText(geometry: Geometry, target: string, number: string, isRagged: boolean): string {
  const { anchor, part, pixels } = geometry;
  const { lhs, groups, inChannels } = anchor;
  const { text, name } = decodePixel(geometry, number);
  const starts = namedAxes(geometry).map(([axis, { stride, padLow }]) =>
    sum(times(name(axis), stride), padLow === 0 ? '0' : `${-padLow}`),
  );
  const start = sum(
    `${part.lhsOffset}`,
    groups > 1 ? times('matrix', inChannels * lhs.inner) : '0',
    times(name('batch'), lhs.outer),
    ...part.axes.map(({ lhs: stride }, d) => times(`(${starts[d]})`, starts[d] === '0' ? 0 : stride)),
  );
  const [z, y, x] = starts as [string, string, string];
  const found = isRagged ? `${number} < ${pixels} ? ${x} : ${outside}` : x;
  return lines(text, `${target} = make_int4(${start}, ${z}, ${y}, ${found});`);
}

/** Statements that give the offset of term `number` in the input, `target` ({offset, z, y, x}), and in the kernel, `weight`. */
export function termText(
  geometry: Geometry,
  number: string,
  target: string,
  weight: string,
  isRagged: boolean,
): string {
  const { anchor, terms } = geometry;
  const axes = namedAxes(geometry);
  const { text, name } = decodeText(number, 'term', [
    ['inner', anchor.inChannels],
    ...axes.map(([axis, { kernelSize }]) => [axis, kernelSize] as const),
  ]);
  const deltas = axes.map(([axis, { dilation }]) => times(name(axis), dilation));
  const offset = sum(
    times(name('inner'), anchor.lhs.inner),
    ...axes.map(([axis, { dilation, lhs }]) => times(name(axis), dilation * lhs)),
  );
  const inKernel = sum(
    times(name('inner'), anchor.rhs.inner),
    ...axes.map(([axis, { rhs }]) => times(name(axis), rhs)),
  );
  const [z, y, x] = deltas as [string, string, string];
  const found = isRagged ? `${number} < ${terms} ? ${x} : ${outside}` : x;
  return lines(
    text,
    target !== '' && `${target} = make_int4(${offset}, ${z}, ${y}, ${found});`,
    weight !== '' && `${weight} = ${inKernel};`,
  );
}

/** Whether the element of a pixel and a term exists. `isRagged`: pixels or terms may not. */
export function insideText(
  geometry: Geometry,
  pixel: string,
  term: string,
  isRagged: boolean,
): string | undefined {
  const checks = namedAxes(geometry).map(([name, axis]) => {
    const isChecked = !isInside(axis) || (name === 'x' && isRagged);
    return isChecked
      ? `(unsigned)(${pixel}.${fields[name]} + ${term}.${fields[name]}) < ${axis.inSize}u`
      : undefined;
  });
  return all(...checks);
}

const fields: Readonly<Record<AxisName, string>> = { z: 'y', y: 'z', x: 'w' };

/** The stride of terms in the kernel, where they lie evenly spaced. */
export function evenTerms({ anchor, part }: Geometry): number | undefined {
  const dims = [
    { extent: anchor.inChannels, stride: anchor.rhs.inner },
    ...part.axes.map(({ kernelSize, rhs }) => ({ extent: kernelSize, stride: rhs })),
  ].filter(({ extent }) => extent > 1);
  const step = dims.at(-1)?.stride ?? 1;
  let expected = step;
  for (const { extent, stride } of dims.reverse()) {
    if (stride !== expected) return undefined;
    expected *= extent;
  }
  return step;
}

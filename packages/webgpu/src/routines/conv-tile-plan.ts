/**
 * The tile of one invocation: what it holds in registers, and what it goes through between two turns of its loop.
 *
 * The figures are nanoseconds of a thread for the four invocations of a vector, fitted to SwiftShader on the layers of small networks. A
 * load costs as much as a dozen products, a little less where all lanes have one address, and it is hundreds of bytes of code; a turn
 * that outgrows the instruction cache is slow. So a tile shares pixels among kernel positions and output channels, weights
 * among pixels, and goes through a row of the kernel in a turn, but not through more.
 */
import {
  type ConvAxes,
  type ConvAxis,
  type ConvPart,
  ceilDiv,
  isInside,
  pointsOf,
  product,
} from '@tutti/core/backend';

export interface Tile {
  /** Results: batch entries, output channels, rows and columns. */
  readonly batch: number;
  readonly channels: number;
  readonly rows: number;
  readonly columns: number;
  /** Terms in a turn: input channels, kernel rows, kernel columns. */
  readonly inner: number;
  readonly tapRows: number;
  readonly taps: number;
}

export interface TilePlan {
  readonly tile: Tile;
  /** Turns of the loop that lie in a part of the sum each, one part for each invocation. */
  readonly splits: number;
  /** Nanoseconds. */
  readonly time: number;
}

/** What a tile is a tile of. */
export interface TileProblem {
  readonly part: ConvPart;
  readonly batch: number;
  readonly groups: number;
  readonly inChannels: number;
  readonly outChannels: number;
}

const cost = {
  load: 10,
  commonLoad: 7,
  product: 0.8,
  sum: 0.7,
  turn: 40,
  mask: 1,
  result: 30,
  invocation: 250,
};
/** Bytes of code for each, in a turn, and what fits the instruction cache along with the rest. */
const code = { load: 500, product: 15, sum: 45, fits: 18_500, most: 30_000 };
const mostSums = 112;
/** Vectors at a time, and how many make sure that all threads have work to the end. */
const workers = 8;
const enoughVectors = 64;
const leastTurns = 4;
const mostSplits = 64;

export const sumsOf = ({ batch, channels, rows, columns }: Tile): number => batch * channels * rows * columns;

/** Input positions that `count` results and `taps` kernel positions meet: runs that overlap, or lie apart. */
function inputsOf(count: number, taps: number, { stride, dilation }: ConvAxis): number {
  if (stride % dilation === 0 && stride / dilation <= taps) return (count - 1) * (stride / dilation) + taps;
  if (dilation % stride === 0 && dilation / stride <= count) return (taps - 1) * (dilation / stride) + count;
  return count * taps;
}

/** Ways to cut an extent into equal pieces of at most `most`. */
function pieces(extent: number, most: number): number[] {
  const sizes = new Set<number>();
  for (let count = 1; count <= extent; count++) {
    const size = ceilDiv(extent, count);
    if (size <= most) sizes.add(size);
    if (size === 1) break;
  }
  return sizes.size > 0 ? [...sizes] : [1];
}

export function planTile(
  problem: TileProblem,
  limits: { readonly sums: number; readonly split: boolean },
): TilePlan {
  let best: TilePlan | undefined;
  for (const tile of tiles(problem, Math.min(mostSums, limits.sums))) {
    const plan = priced(tile, problem, limits.split);
    if (!best || plan.time < best.time) best = plan;
  }
  return best!;
}

/** Tiles that are worth a look. */
function* tiles(
  { part: { axes }, batch, inChannels, outChannels }: TileProblem,
  sums: number,
): Generator<Tile> {
  const [, y, x] = axes;
  const terms = termsOf(axes, inChannels);
  for (const columns of pieces(x.outSize, Math.min(16, sums))) {
    for (const rows of pieces(y.outSize, Math.min(4, sums / columns))) {
      for (const channels of pieces(outChannels, Math.min(16, sums / (rows * columns)))) {
        const left = Math.min(4, sums / (rows * columns * channels));
        // Several entries make up for results that are few.
        for (const entries of columns * rows <= 4 ? pieces(batch, left) : [1]) {
          for (const each of terms) {
            const tile = { batch: entries, channels, rows, columns, ...each };
            if (productsOf(tile) === 1 || codeOf(tile, y, x) <= code.most) yield tile;
          }
        }
      }
    }
  }
}

type Terms = Pick<Tile, 'inner' | 'tapRows' | 'taps'>;

/** Terms of a turn: part of a row of the kernel, a small kernel as a whole, or several input channels of a kernel of one. */
function termsOf([, y, x]: ConvAxes, inChannels: number): readonly Terms[] {
  const columns = Math.max(1, x.kernelSize);
  const terms = pieces(columns, 8).map((taps): Terms => ({ inner: 1, tapRows: 1, taps }));
  if (y.kernelSize > 1 && y.kernelSize * columns <= 9)
    terms.push({ inner: 1, tapRows: y.kernelSize, taps: columns });
  if (columns === 1 && inChannels > 1) terms.push({ inner: 2, tapRows: 1, taps: 1 });
  return terms;
}

const productsOf = (tile: Tile): number => sumsOf(tile) * tile.inner * tile.tapRows * tile.taps;

function loadsOf({ batch, channels, rows, columns, inner, tapRows, taps }: Tile, y: ConvAxis, x: ConvAxis) {
  return {
    pixels: batch * inner * inputsOf(rows, tapRows, y) * inputsOf(columns, taps, x),
    weights: channels * inner * tapRows * taps,
  };
}

function codeOf(tile: Tile, y: ConvAxis, x: ConvAxis): number {
  const { pixels, weights } = loadsOf(tile, y, x);
  return code.load * (pixels + weights) + code.product * productsOf(tile) + code.sum * sumsOf(tile);
}

/** How much longer a turn takes for the size of its code. */
const slowdown = (bytes: number): number => 1 + Math.min(0.9, Math.max(0, (bytes - code.fits) * 0.00017));

/** Nanoseconds of a turn. */
function turnOf(tile: Tile, { part: { axes }, outChannels }: TileProblem): number {
  const [z, y, x] = axes;
  const { pixels, weights } = loadsOf(tile, y, x);
  // Lanes are neighbouring tiles: of one channel, where these fill vectors, or of neighbouring channels, where there is one.
  const tiles = z.outSize * ceilDiv(y.outSize, tile.rows) * ceilDiv(x.outSize, tile.columns);
  const oneChannel = tiles % 4 === 0 || tiles >= 32;
  const oneTile = tiles === 1 && outChannels >= 8 * tile.channels;
  const loads =
    weights * (oneChannel ? cost.commonLoad : cost.load) + pixels * (oneTile ? cost.commonLoad : cost.load);
  const masks = axes.every(isInside) ? 0 : cost.mask * pixels;
  const straight = loads + cost.product * productsOf(tile) + cost.sum * sumsOf(tile) + cost.turn + masks;
  return straight * slowdown(codeOf(tile, y, x));
}

function priced(tile: Tile, problem: TileProblem, split: boolean): TilePlan {
  const { part, batch, groups, inChannels, outChannels } = problem;
  const [z, y, x] = part.axes;
  const sums = sumsOf(tile);
  const turn = turnOf(tile, problem);
  // Tails of the loop are loops of their own, and cost compilation: a little more than their part.
  const along = (extent: number, by: number): number => extent / by + (extent % by === 0 ? 0 : 0.25);
  const turns =
    along(inChannels, tile.inner) *
    z.kernelSize *
    along(y.kernelSize, tile.tapRows) *
    along(x.kernelSize, tile.taps);
  const units =
    groups *
    ceilDiv(batch, tile.batch) *
    ceilDiv(outChannels, tile.channels) *
    z.outSize *
    ceilDiv(y.outSize, tile.rows) *
    ceilDiv(x.outSize, tile.columns);
  const time = (splits: number): number => {
    const vectors = ceilDiv(units * splits, 4);
    const each = (turn * turns) / splits + cost.result * sums + cost.invocation;
    return (Math.max(workers, vectors) * each) / workers;
  };
  const whole: TilePlan = { tile, splits: 1, time: time(1) };
  const wanted = Math.min(ceilDiv(enoughVectors * 4, units), Math.floor(turns / leastTurns), mostSplits);
  if (!split || wanted < 2) return whole;
  const elements = batch * groups * outChannels * pointsOf(part);
  // The last stage: its dispatch, and its loads.
  const finish = 20_000 + (elements * wanted * cost.load) / 4 / workers;
  const parts: TilePlan = { tile, splits: wanted, time: time(wanted) + finish };
  return parts.time < whole.time ? parts : whole;
}

/** Terms of the sum along one of its dimensions, cut into turns and what is left. */
export interface Piece {
  readonly start: number;
  /** Terms in a turn. */
  readonly size: number;
  readonly turns: number;
}

/** A loop: so many turns along input channels and the kernel's axes. */
export interface Sweep {
  readonly inner: Piece;
  readonly z: Piece;
  readonly y: Piece;
  readonly x: Piece;
  readonly turns: number;
}

function cut(extent: number, size: number): Piece[] {
  const turns = Math.floor(extent / size);
  const rest = extent - turns * size;
  const all = [
    { start: 0, size, turns },
    { start: turns * size, size: rest, turns: 1 },
  ];
  return all.filter((piece) => piece.size > 0 && piece.turns > 0);
}

/** All terms of the sums. */
export function sweepsOf({ part, inChannels }: TileProblem, tile: Tile): readonly Sweep[] {
  const [z, y, x] = part.axes;
  const sweeps: Sweep[] = [];
  for (const inner of cut(inChannels, tile.inner)) {
    for (const alongZ of cut(z.kernelSize, 1)) {
      for (const alongY of cut(y.kernelSize, tile.tapRows)) {
        for (const alongX of cut(x.kernelSize, tile.taps)) {
          const turns = product([inner.turns, alongZ.turns, alongY.turns, alongX.turns]);
          sweeps.push({ inner, z: alongZ, y: alongY, x: alongX, turns });
        }
      }
    }
  }
  return sweeps;
}

/**
 * Convolution without shared memory: a thread has one result and runs through kernel positions, and for each that meets a pixel through
 * its input channels. For depthwise convolutions and others with few channels, for inputs dilated so far that lattices are too many,
 * for more than three axes, for small ones, and for emulation, where threads that meet no barrier are cheap.
 *
 * 128 threads, neighbours along the innermost axis: they read neighbouring pixels and the same weights.
 */
import { type ConvAnchor, ceilDiv, product, resultElements } from '@tutti/core/backend';
import type { KernelStage } from '../program.ts';
import { Results } from './epilogue.ts';
import { Source } from './source.ts';
import { block, indices, lines, sum, times } from './text.ts';

const threads = 128;

export function convDirectStage(anchor: ConvAnchor): KernelStage {
  const { groups, inChannels, outChannels, outSize, lhs, rhs } = anchor;
  const source = new Source(anchor, 2);
  const total = resultElements(anchor);
  const points = product(outSize);
  const results = new Results(source, { extent: points, width: 1 });
  const image = groups * outChannels;
  const x = source.load(0, sum('pixel', times('(Index)inner', lhs.inner)));
  const w = source.load(1, sum('weight', times('(Index)inner', rhs.inner)));
  const start = sum(
    `${lhs.offset}`,
    times('(Index)batch', lhs.outer),
    times(`(Index)(channel / ${outChannels})`, inChannels * lhs.inner),
  );
  const inner = block(
    `for (int inner = 0; inner < ${inChannels}; inner++)`,
    `total = fmaf(${w}, ${x}, total);`,
  );
  const body = lines(
    `const Index element = (Index)blockIdx.x * ${threads} + thread;`,
    `if (element >= ${total}) return;`,
    `const Index result_row = element / ${points};`,
    `const int column = (int)(element % ${points});`,
    `const int channel = (int)(result_row % ${image}), batch = (int)(result_row / ${image});`,
    indices('at', 'column', outSize),
    'float total = 0.0f;',
    block('', axisText(anchor, 0, start, sum(`${rhs.offset}`, times('(Index)channel', rhs.outer)), inner)),
    results.write('result_row', 'column', ['total']),
  );
  const comment = 'Convolution: a thread has one result.';
  return source.stage({ comment, body, blocks: ceilDiv(total, threads), threads });
}

/** The kernel positions along axis `d` and those after it that meet a pixel; `pixel` and `weight` are texts of where they begin. */
function axisText(anchor: ConvAnchor, d: number, pixel: string, weight: string, body: string): string {
  const { lhs, rhs } = anchor;
  if (d === anchor.outSize.length) return lines(`const Index pixel = ${pixel}, weight = ${weight};`, body);
  const [inSize, dilation] = [anchor.inSize[d]!, anchor.inputDilation[d]!];
  const reached = sum(
    times(`at${d}`, anchor.stride[d]!),
    times(`t${d}`, anchor.kernelDilation[d]!),
    anchor.padLow[d] === 0 ? '0' : `${-anchor.padLow[d]!}`,
  );
  return block(
    `for (int t${d} = 0; t${d} < ${anchor.kernelSize[d]}; t${d}++)`,
    `const int reached${d} = ${reached};`,
    `if ((unsigned)reached${d} >= ${(inSize - 1) * dilation + 1}u) continue;`,
    dilation > 1 && `if (reached${d} % ${dilation} != 0) continue;`,
    `const Index pixel${d} = ${sum(pixel, times(`(Index)(${dilation > 1 ? `reached${d} / ${dilation}` : `reached${d}`})`, lhs.spatial[d]!))};`,
    `const Index weight${d} = ${sum(weight, times(`(Index)t${d}`, rhs.spatial[d]!))};`,
    axisText(anchor, d + 1, `pixel${d}`, `weight${d}`, body),
  );
}

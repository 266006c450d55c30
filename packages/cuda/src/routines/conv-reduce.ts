/**
 * Convolutions with few results and long sums, for which tiles would be mostly empty: the kernel gradient of a depthwise convolution. A
 * block of 256 threads has one result; its threads run through the terms, neighbours to neighbouring kernel positions, and their sums
 * meet by shuffles and in shared memory, always in the same order.
 */
import { type ConvAnchor, type ConvPart, product, resultElements } from '@tutti/core/backend';
import type { KernelStage } from '../program.ts';
import { geometryOf, insideText, pixelText, termText } from './conv-geometry.ts';
import { Results } from './epilogue.ts';
import { Source } from './source.ts';
import { block, lines, sum, times, unrolled, when } from './text.ts';

const threads = 256;
const warps = threads / 32;

export function convReduceStage(anchor: ConvAnchor, part: ConvPart): KernelStage {
  const geometry = geometryOf(anchor, part);
  const { points, terms } = geometry;
  const { groups, outChannels, rhs } = anchor;
  const source = new Source(anchor, 2);
  const results = new Results(source, { extent: product(anchor.outSize), width: 1 });
  const image = groups * outChannels;
  const weight = sum(`${part.rhsOffset}`, times('channel', rhs.outer), 'weight');
  const added = `total = fmaf(${source.load(1, weight)}, ${source.load(0, 'pixel.x + term.x')}, total);`;
  const body = lines(
    `__shared__ float partial[${warps}];`,
    'const int lane = thread % 32, warp = thread / 32;',
    `const int result_row = (int)(blockIdx.x / ${points}u), column = (int)(blockIdx.x % ${points}u);`,
    `const int channel = result_row % ${image}, matrix = channel / ${outChannels};`,
    `const int number = result_row / ${image} * ${points} + column;`,
    'int4 pixel;',
    block('', pixelText(geometry, 'pixel', 'number', false)),
    'float total = 0.0f;',
    block(
      `for (int index = thread; index < ${terms}; index += ${threads})`,
      'int4 term;',
      'int weight;',
      block('', termText(geometry, 'index', 'term', 'weight', false)),
      when(insideText(geometry, 'pixel', 'term', false), added),
    ),
    unrolled('hop', 5, 'total += __shfl_xor_sync(0xffffffffu, total, 16 >> hop);'),
    'if (lane == 0) partial[warp] = total;',
    '__syncthreads();',
    when(
      'thread == 0',
      'total = partial[0];',
      unrolled('w', warps - 1, 'total += partial[w + 1];'),
      results.write('result_row', 'column', ['total']),
    ),
  );
  const comment = 'Convolution: a block has one result.';
  return source.stage({ comment, body, blocks: resultElements(anchor), threads });
}

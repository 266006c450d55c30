/**
 * Convolution term by term, one result for each invocation: for inputs that are dilated so far that lattices are too many (the input
 * gradient of a kernel of 16 x 16 with stride 16), and for more than three axes. Kernel positions that meet no pixel are skipped along
 * with all their channels.
 */
import { type ConvAnchor, ceilDiv, product, resultElements } from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import { gridOf } from '../kernels/grid.ts';
import { Shader } from '../kernels/shader.ts';
import type { ShaderFeatures, WgslStage } from '../program.ts';
import { loadOperand, type Memory, workspaceOf } from './conv-operands.ts';
import { affine, decoded, quotientOf } from './conv-text.ts';
import { Results, resultMemory } from './epilogue.ts';

const size = 64;

export function sparseStage(anchor: ConvAnchor, memory: Memory, features: ShaderFeatures): WgslStage {
  const { batch, groups, inChannels, outChannels, outSize, lhs, rhs } = anchor;
  const { software } = features;
  const points = product(outSize);
  const layout = { extent: points, width: 1, ragged: false };
  const more = workspaceOf(memory);
  const plain = { ...more, stored: new Set<number>(), atomic: new Set<number>() };
  const shader = new Shader(
    anchor,
    features,
    memory.sink === 'results' ? resultMemory(anchor, layout, more) : plain,
  );
  const code = new Code();
  const elements = resultElements(anchor);
  const grid = gridOf(ceilDiv(elements, size), features);
  const element = code.keep('p', `${grid.block} * ${size}u + lane`);
  if (!grid.exact || elements % size !== 0) code.line(`if (${element} >= ${elements}u) { return; }`);
  const extents = [batch, groups, outChannels, ...outSize];
  const space = extents.map((extent, i) => ({ name: `n${i}`, extent }));
  const [b, g, o, ...at] = decoded(code, element, space, software) as [string, string, string, ...string[]];
  const first = {
    pixel: affine(lhs.offset + (memory.lhs.widenedAt ?? 0), [b, lhs.outer], [g, lhs.inner * inChannels]),
    weight: affine(rhs.offset + (memory.rhs.widenedAt ?? 0), [g, rhs.outer * outChannels], [o, rhs.outer]),
  };
  const sum = code.name('s');
  code.line(`var ${sum} = 0.0f;`);
  const alongAxes = (d: number, pixel: string, weight: string): void => {
    if (d < outSize.length) {
      alongAxis(code, anchor, d, at[d]!, (p, t) => {
        const nextPixel = code.keep('a', affine(0, [pixel, 1], [p, lhs.spatial[d]!]));
        alongAxes(d + 1, nextPixel, code.keep('a', affine(0, [weight, 1], [t, rhs.spatial[d]!])));
      });
      return;
    }
    const i = code.name('c');
    code.block(`for (var ${i} = 0; ${i} < ${inChannels}; ${i}++)`, () => {
      const x = loadOperand(shader, memory.lhs, affine(0, [pixel, 1], [i, lhs.inner]));
      const w = loadOperand(shader, memory.rhs, affine(0, [weight, 1], [i, rhs.inner]));
      code.line(`${sum} += ${w} * ${x};`);
    });
  };
  alongAxes(0, code.keep('a', first.pixel), code.keep('a', first.weight));
  if (memory.sink === 'workspace') code.line(`workspace[${element}] = ${sum};`);
  else {
    const row = code.keep('r', quotient(element, points, elements, software));
    const column = code.keep('c', `${element} - ${row} * ${points}u`);
    new Results(shader, code, anchor, layout, software).write(column, [{ row, values: [sum] }]);
  }
  return shader.stage(code.text(), { size, workgroups: grid.workgroups });
}

const quotient = (dividend: string, divisor: number, bound: number, software: boolean): string =>
  software ? quotientOf(dividend, divisor, bound) : `${dividend} / ${divisor}u`;

/** Runs `body` for every kernel position along an axis that meets an input position; both are i32. */
function alongAxis(
  code: Code,
  anchor: ConvAnchor,
  d: number,
  at: string,
  body: (position: string, tap: string) => void,
): void {
  const dilation = anchor.inputDilation[d]!;
  const bound = (anchor.inSize[d]! - 1) * dilation + 1;
  const tap = code.name('t');
  code.block(`for (var ${tap} = 0; ${tap} < ${anchor.kernelSize[d]!}; ${tap}++)`, () => {
    const reached = affine(-anchor.padLow[d]!, [at, anchor.stride[d]!], [tap, anchor.kernelDilation[d]!]);
    // Negative positions are large as u32.
    const q = code.keep('q', `u32(${reached})`);
    code.line(`if (${q} >= ${bound}u) { continue; }`);
    const p = code.keep('q', quotientOf(q, dilation, bound));
    if (dilation > 1) code.line(`if (${p} * ${dilation}u != ${q}) { continue; }`);
    body(code.keep('q', `i32(${p})`), tap);
  });
}

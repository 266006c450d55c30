/** One kernel with what its buffers hold before it runs, and what they must hold after. */
import {
  type BufferParam,
  type Capabilities,
  type DType,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Kernel,
  type ScalarType,
  type Store,
} from '../../backend/index.ts';
import { type BufferContents, bufferContents, interpretKernel, writeElement } from '../interpret.ts';
import { generator, randomKernel, type SampleOptions } from '../random-kernel.ts';
import type { TestCase } from '../test-case.ts';
import { findDifference, shown, type Zeros } from './compare.ts';

/** What only some devices can do; the others never get such kernels from the compiler. */
export type KernelNeed = keyof Pick<Capabilities, 'rowPrograms' | 'multipleOutputs' | 'scatterStores'>;

/**
 * A backend's test runs each case that its device can do, however many ways it has to, and fails with what `check` says:
 *
 *     test.each(casesFor(capabilities, aluCases()))('$name', async ({ kernel, contents, scalars, check }) => {
 *       expect(check(await run(kernel, contents(), scalars))).toBeUndefined();
 *     });
 */
export interface KernelCase extends TestCase {
  readonly kernel: Kernel;
  readonly needs: readonly KernelNeed[];
}

/** The cases that a device can do. */
export const casesFor = (
  capabilities: Pick<Capabilities, KernelNeed>,
  cases: readonly KernelCase[],
): KernelCase[] => cases.filter(({ needs }) => needs.every((need) => capabilities[need]));

export interface CaseOptions {
  readonly needs?: readonly KernelNeed[];
  readonly scalars?: readonly number[];
  readonly zeros?: Zeros;
  /** What the buffers hold before; by default small integers and booleans. */
  readonly contents?: () => BufferContents[];
}

/** A case whose results are the interpreter's, of any order of arithmetic: sums must be exact. */
export function kernelCase(name: string, kernel: Kernel, options: CaseOptions = {}): KernelCase {
  const { needs = [], scalars = [], zeros = 'alike' } = options;
  const contents = options.contents ?? (() => smallContents(kernel));
  let interpreted: BufferContents[] | undefined;
  const wanted = (): BufferContents[] => {
    if (!interpreted) {
      interpreted = contents();
      interpretKernel(kernel, interpreted, scalars);
    }
    return interpreted;
  };
  const check = (got: readonly BufferContents[]): string | undefined => {
    const found = findDifference(kernel, got, wanted(), zeros);
    if (!found) return undefined;
    const { buffer, index } = found;
    const inputs = kernel.space.length === 1 ? readsAt(kernel, contents(), index) : '';
    return `${name}: b${buffer}[${index}] is ${shown(found.got)}, not ${shown(found.want)}${inputs}`;
  };
  return { name, kernel, needs, scalars, contents, check };
}

/** The elements of the inputs at the place of a wrong one, which are its operands where a kernel is elementwise. */
function readsAt({ buffers }: Kernel, contents: readonly BufferContents[], index: number): string {
  const read = buffers.flatMap(({ access, length }, i) =>
    access === 'read' && index < length ? [`b${i} has ${shown(contents[i]![index]!)} there`] : [],
  );
  return read.length > 0 ? ` (${read.join(', ')})` : '';
}

/** A random kernel, by its seed. */
export function randomCase(seed: number, options: SampleOptions = {}, zeros: Zeros = 'alike'): KernelCase {
  const { kernel, buffers, scalars } = randomKernel(seed, options);
  const contents = (): BufferContents[] => buffers.map((buffer) => buffer.slice());
  return kernelCase(`random kernel ${seed}`, kernel, {
    contents,
    scalars,
    zeros,
    needs: options.simple ? [] : ['rowPrograms', 'multipleOutputs', 'scatterStores'],
  });
}

/** The dtype that holds values of a type as they are. */
export const wideDType: Readonly<Record<ScalarType, DType>> = {
  f32: 'float32',
  i32: 'int32',
  u32: 'uint32',
  bool: 'bool',
};

export const variable = (name: string, extent: number): IndexVariable => ({ name, extent });

export function filled(dtype: DType, elements: readonly number[]): BufferContents {
  const contents = bufferContents(dtype, elements.length);
  for (const [i, element] of elements.entries()) writeElement(dtype, contents, i, element);
  return contents;
}

/** Integers from 0 to 15, or booleans, the same for every call. */
export function smallContents({ buffers }: Pick<Kernel, 'buffers'>): BufferContents[] {
  return buffers.map(({ dtype, length }, i) => {
    const random = generator(length + i);
    const most = dtype === 'bool' ? 2 : 16;
    return filled(
      dtype,
      Array.from({ length }, () => Math.floor(random() * most)),
    );
  });
}

/** A kernel that stores once for each point of its space. */
export const mapKernel = (
  name: string,
  buffers: readonly BufferParam[],
  space: readonly IndexVariable[],
  stores: readonly Store[],
): Kernel => ({
  kind: 'kernel',
  name,
  buffers,
  scalars: [],
  space,
  phases: [{ kind: 'map', loops: [], order: 'parallel', stores }],
});

/** `out[i] = f(inputs[i]...)` over `length` elements, where `f` is made of the loaded elements. */
export function elementwiseKernel(
  name: string,
  length: number,
  inputs: readonly DType[],
  output: DType,
  make: (b: ExpressionBuilder, ...loaded: Expression[]) => Expression,
): Kernel {
  const b = new ExpressionBuilder();
  const i = variable('i', length);
  const loaded = inputs.map((dtype, k) => b.load(dtypeInfo[dtype].scalar, k, b.index(i)));
  return mapKernel(
    name,
    [
      ...inputs.map((dtype) => ({ dtype, length, access: 'read' as const })),
      { dtype: output, length, access: 'write' },
    ],
    [i],
    [{ buffer: inputs.length, index: b.index(i), value: make(b, ...loaded), mode: 'set' }],
  );
}

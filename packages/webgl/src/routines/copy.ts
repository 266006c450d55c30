/** Operands written anew into scratch memory: by a kernel like those of the compiler. */
import { type DType, type Expression, type IndexVariable, rowMajor, sizeOf } from '@tutti/core/backend';
import { compileKernel } from '../kernels/index.ts';
import type { GlslStage, ShaderFeatures, StageBuffer } from '../program.ts';

export interface Copy {
  readonly name: string;
  readonly from: DType;
  readonly to: DType;
  /** What is written, row-major: `value` for each of its points. */
  readonly space: readonly IndexVariable[];
  /** Loads from buffer 0. */
  readonly value: Expression;
}

/** Nobody asks how long a buffer is that is only read. */
const anyLength = 2 ** 31 - 1;

/** @param slot The anchor's buffer that is read. */
export function copyStages(
  { name, from, to, space, value }: Copy,
  slot: number,
  target: StageBuffer,
  features: ShaderFeatures,
): readonly GlslStage[] {
  const { stages } = compileKernel(
    {
      kind: 'kernel',
      name,
      buffers: [
        { dtype: from, length: anyLength, access: 'read' },
        { dtype: to, length: sizeOf(space), access: 'write' },
      ],
      scalars: [],
      space: space.filter(({ extent }) => extent > 1),
      phases: [
        {
          kind: 'map',
          loops: [],
          order: 'parallel',
          stores: [{ buffer: 1, index: rowMajor(space), value, mode: 'set' }],
        },
      ],
    },
    features,
  );
  return stages.map((stage) => ({
    ...stage,
    inputs: stage.inputs.map((): StageBuffer => ({ kind: 'buffer', index: slot })),
    outputs: [target],
  }));
}

/**
 * A unit that runs parts of a joint kernel: their pointers, lengths and scalars are a table in the kernel's parameters, and each block
 * finds its part there. Nothing else of the parts is in the text, so that it is compiled once for all that do the same.
 *
 *     struct Parts { const float* b0[84]; float* b1[84]; unsigned first[84]; unsigned points[84]; };
 *
 *     part  = the last whose first block is not behind this one
 *     block = this block's number in the part
 */
import { dtypeInfo, isElementwise, type JointKernel, type JointPart, powerBelow } from '@tutti/core/backend';
import type { KernelStage, StageParameter } from '../program.ts';
import {
  type KernelFrame,
  type KernelMemory,
  type KernelParameters,
  type KernelShape,
  KernelText,
} from './kernel-text.ts';

/** Of all parameters of a kernel, on every GPU and driver that is taken here. */
const parameterBytes = 4096;

/** The first block of a part that there is not. */
const never = 2 ** 32 - 1;

const zero: StageParameter = { kind: 'constant', value: 0 };

interface Column {
  /** Of an entry. */
  readonly type: string;
  readonly name: string;
  readonly bytes: number;
  /** What it holds for a part; `part` is its number among all, `first` its first block in the launch. */
  readonly entry: (part: JointPart, number: number, first: number) => StageParameter;
  /** What it holds where there is no part: as many words. */
  readonly none: readonly StageParameter[];
}

export class JointText extends KernelText {
  readonly #joint: JointKernel;
  override readonly block: string = 'block';

  constructor(joint: JointKernel, parameters: KernelParameters, memory: KernelMemory) {
    super(parameters, memory);
    this.#joint = joint;
  }

  override get points(): string | undefined {
    return isElementwise(this.#joint.body) ? 'points' : undefined;
  }

  override stages(body: string, shape: KernelShape): readonly KernelStage[] {
    const columns = this.#columns();
    const bytes = columns.reduce((sum, column) => sum + column.bytes, 0);
    // An even number, so that the table has no bytes behind its last word.
    const most = Math.floor(parameterBytes / bytes / 2) * 2;
    const unit = this.unit(body, shape, this.#frame(columns, most));
    const { parts } = this.#joint;
    const blocksOf = ({ points }: JointPart): number =>
      this.points === undefined ? shape.grid[0] : Math.ceil(points / shape.pointsOfBlock!);
    const stages: KernelStage[] = [];
    for (let from = 0; from < parts.length; from += most) {
      const blocks = parts.slice(from, from + most).map(blocksOf);
      const first = blocks.map((_, i) => blocks.slice(0, i).reduce((sum, count) => sum + count, 0));
      const parameters = columns.flatMap(({ entry, none }) =>
        Array.from({ length: most }, (_, i) =>
          i < blocks.length ? [entry(parts[from + i]!, from + i, first[i]!)] : none,
        ).flat(),
      );
      stages.push({ ...unit, parameters, grid: [first.at(-1)! + blocks.at(-1)!, 1, 1] });
    }
    return stages;
  }

  #columns(): readonly Column[] {
    const { body } = this.#joint;
    const pointers = this.usedBuffers.map((buffer): Column => {
      const { dtype } = body.buffers[buffer]!;
      return {
        type: this.pointerType(buffer),
        name: `b${buffer}`,
        bytes: 8,
        entry: ({ origins }, number) => ({
          kind: 'buffer',
          index: number * body.buffers.length + buffer,
          byteOffset: origins[buffer]! * dtypeInfo[dtype].bytes,
        }),
        none: [zero, zero],
      };
    });
    const word = (type: string, name: string, entry: Column['entry'], none = zero): Column => ({
      type,
      name,
      bytes: 4,
      entry,
      none: [none],
    });
    const constant = (value: number): StageParameter => ({ kind: 'constant', value });
    const scalars = this.usedScalars.map((param) =>
      word(this.scalarType(param), `s${param}`, (_, number) => ({
        kind: 'scalar',
        index: number * body.scalars.length + param,
      })),
    );
    return [
      ...pointers,
      word('unsigned', 'first', (_, __, first) => constant(first), constant(never)),
      ...(this.points === undefined ? [] : [word('unsigned', this.points, ({ points }) => constant(points))]),
      ...scalars,
    ];
  }

  #frame(columns: readonly Column[], most: number): KernelFrame {
    const own = columns.filter(({ name }) => name !== 'first');
    return {
      types: ['struct Parts {', ...columns.map(({ type, name }) => `  ${type} ${name}[${most}];`), '};'],
      declarations: ['const __grid_constant__ Parts parts'],
      head: [
        '  unsigned part = 0u;',
        '  #pragma unroll',
        `  for (unsigned step = ${powerBelow(most - 1)}u; step > 0u; step >>= 1)`,
        `    if (part + step < ${most}u && parts.first[part + step] <= blockIdx.x) part += step;`,
        `  const unsigned ${this.block} = blockIdx.x - parts.first[part];`,
        ...own.map(({ type, name, bytes }) => {
          const qualified = bytes === 8 ? `${type} __restrict__` : `const ${type}`;
          return `  ${qualified} ${name} = parts.${name}[part];`;
        }),
      ],
    };
  }
}

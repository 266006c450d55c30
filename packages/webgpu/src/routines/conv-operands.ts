/**
 * The operands of a convolution, and where its sums go.
 *
 * In software, 16-bit floats are widened once into the workspace: unpacking them costs more than many loads of words. Sums go straight
 * through the epilogue where results are words that lie in rows; else they go to the workspace (or to the result itself, where there
 * is no epilogue), and a last stage finishes them.
 *
 *     workspace    sums, `splits` times as long as the result | widened lhs | widened rhs
 */
import {
  type ConvAnchor,
  type ConvPart,
  type Expression,
  type IndexVariable,
  type Kernel,
  resultElements,
} from '@tutti/core/backend';
import { compileKernel } from '../kernels/index.ts';
import { lanesOf } from '../kernels/memory.ts';
import type { Shader, ShaderMemory } from '../kernels/shader.ts';
import type { ShaderFeatures, StageBinding, WgslStage } from '../program.ts';

/** What every binding may have at least. */
const mostWorkspaceBytes = 128 * 1024 * 1024;

/** Where sums go: through the epilogue, as they are into the result, or into the workspace. */
export type Sink = 'results' | 'plain' | 'workspace';

export interface Operand {
  /** The number of a buffer, or where the widened operand begins in the workspace, in elements. */
  readonly buffer: number;
  readonly widenedAt: number | undefined;
}

export interface Memory {
  readonly sink: Sink;
  readonly lhs: Operand;
  readonly rhs: Operand;
  /** Elements of the workspace. */
  readonly workspace: number;
}

const isHalf = (anchor: ConvAnchor, buffer: number): boolean => lanesOf(anchor.buffers[buffer]!.dtype) > 1;

export function sinkOf(anchor: ConvAnchor, parts: readonly ConvPart[], splits: number): Sink {
  if (splits > 1 || isHalf(anchor, 2)) return 'workspace';
  if (parts.every(({ dense }) => dense)) return 'results';
  return anchor.epilogue ? 'workspace' : 'plain';
}

/** The use of memory; undefined where the workspace would be too large. */
export function memoryOf(
  anchor: ConvAnchor,
  sink: Sink,
  splits: number,
  features: ShaderFeatures,
): Memory | undefined {
  let workspace = sink === 'workspace' ? splits * resultElements(anchor) : 0;
  const place = (buffer: number): Operand => {
    if (!features.software || !isHalf(anchor, buffer)) return { buffer, widenedAt: undefined };
    const widenedAt = workspace;
    workspace += anchor.buffers[buffer]!.length;
    return { buffer, widenedAt };
  };
  const [lhs, rhs] = [place(0), place(1)];
  return workspace * 4 > mostWorkspaceBytes ? undefined : { sink, lhs, rhs, workspace };
}

/** The workspace as a shader sees it. */
export function workspaceOf({ workspace, sink }: Memory): Pick<ShaderMemory, 'workspace'> {
  if (workspace === 0) return {};
  const access = sink === 'workspace' ? 'readWrite' : 'read';
  return { workspace: { type: 'f32', length: workspace, access } };
}

/** An element of an operand, as f32. `index` is an i32. */
export const loadOperand = (shader: Shader, { buffer, widenedAt }: Operand, index: string): string =>
  widenedAt === undefined ? shader.load(buffer, index) : `workspace[${index}]`;

/** The stages that widen operands. */
export const widenStages = (anchor: ConvAnchor, memory: Memory, features: ShaderFeatures): WgslStage[] =>
  [memory.lhs, memory.rhs].flatMap((operand) =>
    operand.widenedAt === undefined ? [] : widenStage(anchor, operand, memory.workspace, features),
  );

/** A kernel of the compiler's kind, with the workspace for its second buffer. */
function widenStage(
  anchor: ConvAnchor,
  { buffer, widenedAt }: Operand,
  workspace: number,
  features: ShaderFeatures,
): readonly WgslStage[] {
  const { length, dtype } = anchor.buffers[buffer]!;
  const variable: IndexVariable = { name: 'element', extent: length };
  const index: Expression = { op: 'index', type: 'i32', variable };
  const offset: Expression = { op: 'const', type: 'i32', value: widenedAt! };
  const target: Expression =
    widenedAt === 0 ? index : { op: 'alu', alu: 'add', type: 'i32', args: [index, offset] };
  const kernel: Kernel = {
    kind: 'kernel',
    name: `${anchor.name}_widen`,
    buffers: [
      { dtype, length, access: 'read' },
      { dtype: 'float32', length: workspace, access: 'write' },
    ],
    scalars: [],
    space: [variable],
    phases: [
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [
          { buffer: 1, index: target, value: { op: 'load', type: 'f32', buffer: 0, index }, mode: 'set' },
        ],
      },
    ],
  };
  return compileKernel(kernel, features).stages.map((stage) => ({
    ...stage,
    bindings: stage.bindings.map((binding): StageBinding => {
      if (binding.source.kind !== 'buffer') return binding;
      const own = binding.source.index === 0;
      return { ...binding, source: own ? { kind: 'buffer', index: buffer } : { kind: 'workspace' } };
    }),
  }));
}

/** Hand-tuned programs for anchors: matrix products and convolutions with sums in f32. */
import type { Anchor, ContractionAnchor } from '@tutti/core/backend';
import type { WasmProgram } from '../program.ts';
import { convRoutine } from './conv.ts';
import { dotRoutine } from './dot.ts';
import { widened } from './widen.ts';

/** The program for an anchor, or undefined where the decomposition has to do. */
export function routine(anchor: Anchor): WasmProgram | undefined {
  if (anchor.kind === 'attention' || anchor.kind === 'attentionGradient' || readsBackwards(anchor))
    return undefined;
  return widened(anchor, (wide) => (wide.kind === 'dot' ? dotRoutine(wide) : convRoutine(wide)));
}

/** Strides are added as unsigned constants. Only the positions of a kernel may run backwards: the flip of a gradient. */
function readsBackwards({ kind, lhs, rhs }: ContractionAnchor): boolean {
  const strides =
    kind === 'dot'
      ? [lhs, rhs].flatMap((operand) =>
          'row' in operand ? [...operand.batch, operand.row, operand.column] : [],
        )
      : [lhs, rhs].flatMap((operand) => ('outer' in operand ? [operand.outer, operand.inner] : []));
  return (
    strides.some((stride) => stride < 0) || ('spatial' in lhs && lhs.spatial.some((stride) => stride < 0))
  );
}

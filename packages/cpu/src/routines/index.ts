/** Hand-tuned programs for anchors. */
import type { Anchor } from '@tutti/core/backend';
import type { WasmProgram } from '../program.ts';
import { convRoutine } from './conv.ts';
import { dotRoutine } from './dot.ts';

/** The program for an anchor, or undefined where the decomposition has to do. */
export function routine(anchor: Anchor): WasmProgram | undefined {
  return anchor.kind === 'dot' ? dotRoutine(anchor) : convRoutine(anchor);
}

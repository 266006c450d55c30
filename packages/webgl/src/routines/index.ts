/** Hand-tuned programs for anchors: matrix products and convolutions. */
import type { Anchor } from '@tutti/core/backend';
import type { GlslProgram, ShaderFeatures } from '../program.ts';
import { convRoutine } from './conv.ts';
import { dotRoutine } from './dot.ts';

/** The program for an anchor, or undefined where the decomposition has to do. */
export function routine(anchor: Anchor, features: ShaderFeatures): GlslProgram | undefined {
  switch (anchor.kind) {
    case 'dot':
      return dotRoutine(anchor, features);
    case 'conv':
      return convRoutine(anchor, features);
    case 'attention':
    case 'attentionGradient':
      return undefined;
  }
}

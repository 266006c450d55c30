/** Hand-tuned programs for anchors: matrix products, convolutions and attention. */
import type { Anchor } from '@tutti/core/backend';
import type { CudaFeatures, CudaProgram } from '../program.ts';
import { attentionRoutine } from './attention.ts';
import { attentionGradientRoutine } from './attention-gradient.ts';
import { convRoutine } from './conv.ts';
import { dotRoutine } from './dot.ts';

/** The program for an anchor, or undefined where the decomposition has to do. */
export function routine(anchor: Anchor, features: CudaFeatures): CudaProgram | undefined {
  switch (anchor.kind) {
    case 'dot':
      return dotRoutine(anchor, features);
    case 'conv':
      return convRoutine(anchor, features);
    case 'attention':
      return attentionRoutine(anchor, features);
    case 'attentionGradient':
      return attentionGradientRoutine(anchor, features);
  }
}

/** Hand-tuned programs for anchors: matrix products and convolutions. */
import type { Anchor } from '@tutti/core/backend';
import type { Candidates, ShaderFeatures, WgslProgram } from '../program.ts';
import { attentionRoutine } from './attention.ts';
import { convRoutine } from './conv.ts';
import { convCandidates } from './conv-candidates.ts';
import { dotRoutine } from './dot.ts';
import { dotCandidates } from './tune.ts';

/** The program for an anchor, or undefined where the decomposition has to do. */
export function routine(anchor: Anchor, features: ShaderFeatures): WgslProgram | undefined {
  switch (anchor.kind) {
    case 'dot':
      return dotRoutine(anchor, features);
    case 'conv':
      return convRoutine(anchor, features);
    case 'attention':
      return attentionRoutine(anchor, features);
    case 'attentionGradient':
      return undefined;
  }
}

/** The programs for an anchor among which it is worth to choose by time; undefined where it is not. */
export function candidates(anchor: Anchor, features: ShaderFeatures): Candidates | undefined {
  switch (anchor.kind) {
    case 'dot':
      return dotCandidates(anchor, features);
    case 'conv':
      return convCandidates(anchor, features);
    default:
      return undefined;
  }
}

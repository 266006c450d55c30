/** Attention on a device, in the form for hardware. */
import type { BufferParam } from '@tutti/core/backend';
import { attentionCase, attentionCases } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { attentionRoutine } from '../src/routines/attention.ts';
import { hardware, software } from './support/kernels.ts';
import { checkAnchor } from './support/routines.ts';

it.each(attentionCases())('$name', { timeout: 240_000 }, (each) =>
  checkAnchor(each, attentionRoutine(each.anchor, hardware), hardware),
);

describe('attention is taken apart', () => {
  it('when a row does not fit into registers', () => {
    const { anchor } = attentionCase('small', { queries: 2, keys: 2, width: 129, valueWidth: 4 });
    expect(attentionRoutine(anchor, hardware)).toBeUndefined();
  });

  it('in software', () => {
    const { anchor } = attentionCase('small', { queries: 2, keys: 2, width: 4, valueWidth: 4 });
    expect(attentionRoutine(anchor, software)).toBeUndefined();
  });

  it('when the epilogue leaves no room for its buffers', () => {
    const { anchor } = attentionCase('small', { queries: 2, keys: 2, width: 4, valueWidth: 4 });
    const extra: BufferParam = { dtype: 'float32', length: 8, access: 'read' };
    const buffers = [...anchor.buffers, ...Array.from({ length: 5 }, () => extra)];
    expect(attentionRoutine({ ...anchor, buffers }, hardware)).toBeUndefined();
  });
});

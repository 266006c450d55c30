/** Every exact operation, and elements of 8 and 16 bits. */
import {
  aluCases,
  aluConstantCases,
  aluItselfCases,
  casesFor,
  halfCases,
  narrowStoreCases,
} from '@tutti/core/testing';
import { test } from 'vitest';
import { capabilities } from './support/capabilities.ts';
import { checkKernels } from './support/run.ts';

test.each([
  ['operations on special values', aluCases()],
  ['operations on special values and a constant', aluConstantCases()],
  ['operations on special values and themselves', aluItselfCases()],
  ['halves, and floats rounded to them', halfCases()],
  ['stores into the same words', casesFor(capabilities, narrowStoreCases())],
])('%s', { timeout: 240_000 }, (_, cases) => checkKernels(cases));

/** Every exact operation, and elements of 8 and 16 bits. */
import { aluCases, aluConstantCases, aluItselfCases, halfCases, narrowStoreCases } from '@tutti/core/testing';
import { test } from 'vitest';
import { checkKernel, hardware, software } from './support/kernels.ts';

test.concurrent.each([...aluCases(), ...aluConstantCases(), ...aluItselfCases(), ...halfCases()])(
  '$name',
  { timeout: 120_000 },
  (each) => checkKernel(each, { software }),
);

test.concurrent.each(narrowStoreCases())('$name', { timeout: 120_000 }, (each) =>
  checkKernel(each, { software, hardware }),
);

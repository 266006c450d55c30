import { mathCases } from '@tutti/core/testing';
import { test } from 'vitest';
import { checkKernel, software } from './support/kernels.ts';

test.each(mathCases({ size: 1 << 18 }))('$name', { timeout: 120_000 }, (each) =>
  checkKernel(each, { software }),
);

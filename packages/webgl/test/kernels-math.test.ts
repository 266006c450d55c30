import { mathCases } from '@tutti/core/testing';
import { test } from 'vitest';
import { checkKernels } from './support/run.ts';

test.each(mathCases({ size: 1 << 15 }))('$name', { timeout: 120_000 }, (each) => checkKernels([each]));

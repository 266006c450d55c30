import { test } from 'vitest';
import { onCpu, runExamples } from './support.ts';

onCpu();

test('the examples of the README run', () => runExamples(new URL('../README.md', import.meta.url)));

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { checkImports } from '../check-imports.mjs';
import { scanSource } from '../scan-source.mjs';

const roots = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

const manifest = (name, dependencies = [], more = {}) =>
  JSON.stringify({
    name,
    exports: { '.': {} },
    dependencies: Object.fromEntries(dependencies.map((each) => [each, '*'])),
    ...more,
  });

const house = {
  'packages/core/package.json': manifest('@tutti/core', [], {
    exports: { '.': {}, './backend': {}, './interop': {} },
  }),
  'packages/nn/package.json': manifest('@tutti/nn', ['@tutti/core']),
  'packages/optim/package.json': manifest('@tutti/optim', ['@tutti/core', '@tutti/nn']),
  'packages/conformance/package.json': manifest('@tutti/conformance', ['@tutti/core']),
  'packages/cpu/package.json': manifest('@tutti/cpu', ['@tutti/core'], {
    devDependencies: { '@tutti/conformance': '*' },
  }),
  'packages/tutti/package.json': manifest('tutti', ['@tutti/core', '@tutti/cpu', '@tutti/nn']),
  'benchmarks/package.json': manifest('@tutti/benchmarks', ['tutti', '@tutti/cpu']),
};

/** Offences, as `file:line rule`, of the house with these files in it. */
function offences(files) {
  const root = mkdtempSync(join(tmpdir(), 'tutti-imports-'));
  roots.push(root);
  for (const [path, text] of Object.entries({ ...house, ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return checkImports(root).map(({ file, line, rule }) => `${file}:${line} ${rule}`);
}

describe('import direction', () => {
  test('the chain from core to benchmarks is allowed', () => {
    expect(
      offences({
        'packages/core/src/index.ts': `export * from './a.ts';\n`,
        'packages/core/src/a.ts': 'export const a = 1;\n',
        'packages/nn/src/index.ts': `import { a } from '@tutti/core';\nimport fs from 'node:fs';\nexport { a, fs };\n`,
        'packages/cpu/src/index.ts': `import { b } from '@tutti/core/backend';\nimport { i } from '@tutti/core/interop';\nexport { b, i };\n`,
        'packages/cpu/test/a.test.ts': `import { run } from '@tutti/conformance';\nimport { a } from '../src/index.ts';\n`,
        'packages/tutti/src/index.ts': `export * from '@tutti/core';\nexport * from '@tutti/nn';\nimport '@tutti/cpu';\n`,
        'benchmarks/src/bin.ts': `import 'tutti';\n`,
      }),
    ).toEqual([]);
  });

  test('core imports no one, siblings do not import each other', () => {
    expect(
      offences({
        'packages/core/src/index.ts': `\nimport { x } from '@tutti/nn';\n`,
        'packages/optim/src/index.ts': `import type { x } from '@tutti/nn';\n`,
      }),
    ).toEqual([
      'packages/core/src/index.ts:2 import direction',
      'packages/core/src/index.ts:2 declared dependencies',
      'packages/optim/src/index.ts:1 import direction',
    ]);
  });

  test('the source of a backend sees the contract alone', () => {
    expect(
      offences({
        'packages/cpu/src/index.ts': `import { t } from '@tutti/core';\nexport * from '@tutti/conformance';\n`,
      }),
    ).toEqual([
      'packages/cpu/src/index.ts:1 import direction',
      'packages/cpu/src/index.ts:2 import direction',
      'packages/cpu/src/index.ts:2 declared dependencies',
    ]);
  });
});

test('core names no backend in a string; comments may', () => {
  expect(
    offences({
      'packages/core/src/index.ts': [
        '// the cpu backend',
        `export const device = 'cpu';`,
        'export const help = `install @tutti/webgpu for ${device} ${`"cuda:0"`}`;',
        `export const fine = 'cpus and webgl2ish';`,
        'export const pattern = /["]cuda/;',
      ].join('\n'),
    }),
  ).toEqual([
    'packages/core/src/index.ts:2 core names no backend',
    'packages/core/src/index.ts:3 core names no backend',
    'packages/core/src/index.ts:3 core names no backend',
  ]);
});

test('no deep imports, by name or by path', () => {
  expect(
    offences({
      'packages/nn/src/index.ts': [
        `import { a } from '@tutti/core/src/a.ts';`,
        `import { b } from '../../core/src/b.ts';`,
        `const c = await import('@tutti/core/dist/c.js');`,
        `import { d } from 'lodash';`,
        `import { e } from '@tutti/nn';`,
      ].join('\n'),
    }),
  ).toEqual([
    'packages/nn/src/index.ts:1 no deep imports',
    'packages/nn/src/index.ts:2 no deep imports',
    'packages/nn/src/index.ts:3 no deep imports',
    'packages/nn/src/index.ts:4 declared dependencies',
    'packages/nn/src/index.ts:5 no import of itself',
  ]);
});

test('what a build puts into the package may be a development dependency', () => {
  const devDependencies = { 'gpu.js': '*' };
  const files = (name) => ({
    [`packages/${name}/package.json`]: manifest(`@tutti/${name}`, [], { devDependencies }),
    [`packages/${name}/src/index.ts`]: `import { x } from 'gpu.js/src/backend/kernel.js';\n`,
  });
  expect(offences(files('webgl'))).toEqual([]);
  expect(offences(files('webgpu'))).toEqual(['packages/webgpu/src/index.ts:1 declared dependencies']);
});

test('cycles at run time are found; types make none', () => {
  const cycle = (statement) => ({
    'packages/core/src/a.ts': `import { b } from './b.ts';\nexport const a = b;\n`,
    'packages/core/src/b.ts': `export { c as b } from './deep/c.ts';\n`,
    'packages/core/src/deep/c.ts': `${statement}\nexport const c = 1;\n`,
  });
  expect(offences(cycle(`import { a } from '../a.ts';`))).toEqual([
    'packages/core/src/a.ts:1 no import cycles',
  ]);
  expect(offences(cycle(`import { type A } from '../a.ts';`))).toEqual([
    'packages/core/src/a.ts:1 no import cycles',
  ]);
  expect(offences(cycle(`import type { A } from '../a.ts';`))).toEqual([]);
});

test('imports are told from what looks like them', () => {
  const { imports } = scanSource(
    [
      `// import './comment.ts';`,
      'const text = `import "./template.ts"; ${half / 2} import("./no.ts")`;',
      `const pattern = /import '.\\/regexp.ts'/;`,
      `import {\n  one,\n  type Two,\n} from './many.ts';`,
      `import type Three from './three.ts';`,
      `import type from './named-type.ts';`,
      `export type { Four } from './four.ts';`,
      `export const five = [import.meta.url, 'from', './no.ts'];`,
      `export type Six = { from: './no.ts' };`,
      `const seven = () => import('./lazy.ts');`,
    ].join('\n'),
  );
  expect(imports).toEqual([
    { specifier: './many.ts', line: 7, typeOnly: false, lazy: false },
    { specifier: './three.ts', line: 8, typeOnly: true, lazy: false },
    { specifier: './named-type.ts', line: 9, typeOnly: false, lazy: false },
    { specifier: './four.ts', line: 10, typeOnly: true, lazy: false },
    { specifier: './lazy.ts', line: 13, typeOnly: false, lazy: true },
  ]);
});

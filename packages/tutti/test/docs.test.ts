/** The documentation is true: its examples compile and print what they say, its tables are current, its links lead somewhere. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const packageFolder = resolve(import.meta.dirname, '..');

const pages: readonly string[] = [
  join(root, 'README.md'),
  ...readdirSync(join(root, 'docs')).map((name) => join(root, 'docs', name)),
].filter((path) => path.endsWith('.md'));

interface Example {
  readonly name: string;
  readonly file: string;
  readonly code: string;
  /** What follows `// ` after a `console.log(...);` */
  readonly prints: readonly string[];
}

/** The blocks marked ```ts run. */
function examplesOf(path: string): Example[] {
  const text = readFileSync(path, 'utf8');
  return [...text.matchAll(/^```ts run\n(.*?)^```$/gms)].map((match, i) => ({
    name: `${relative(root, path)}:${text.slice(0, match.index).split('\n').length}`,
    file: `${basename(path, '.md')}-${i}`,
    code: match[1]!,
    prints: [...match[1]!.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)].map((line) => line[1]!),
  }));
}

const examples = pages.flatMap(examplesOf);

/** In the package's own folder, so that `tutti` in an example is this package. */
let folder = '';

beforeAll(() => {
  mkdirSync(join(packageFolder, 'dist'), { recursive: true });
  folder = mkdtempSync(join(packageFolder, 'dist', 'docs-'));
  for (const { file, code } of examples) writeFileSync(join(folder, `${file}.ts`), `${code}\nexport {};\n`);
  const compilerOptions = {
    composite: false,
    incremental: false,
    declaration: false,
    isolatedDeclarations: false,
    types: ['node'],
    outDir: 'out',
    rootDir: '.',
  };
  const config = { extends: '../../../../tsconfig.base.json', compilerOptions, include: ['*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('examples', () => {
  it('there are some', () => expect(examples.length).toBeGreaterThan(5));

  it('compile', () => {
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const { stdout } = spawnSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' });
    expect(stdout).toBe('');
  }, 60_000);

  it.each(examples)('$name runs and prints what it says', ({ file, prints }) => {
    const { TUTTI_DEVICE: _, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'out', `${file}.js`)], {
      cwd: folder,
      env,
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    if (prints.length > 0) expect(stdout.trimEnd().split('\n')).toEqual(prints);
  });
});

describe('pages', () => {
  it('have current tables', () => {
    const script = join(root, 'scripts/docs.mjs');
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it.each(pages.map((path) => [relative(root, path), path]))('%s links to what exists', (_, path) => {
    const text = readFileSync(path, 'utf8').replaceAll(/^```.*?^```$/gms, '');
    const links = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1]!);
    const local = links.filter((link) => !/^[a-z]+:/.test(link));
    expect(local.filter((link) => !existsSync(resolve(dirname(path), link)))).toEqual([]);
  });
});

// Who may import whom. Prints every offence as `file:line  rule: detail` and exits 1 if there is one.
// usage: node scripts/check-imports.mjs [workspace root]

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scanSource } from './scan-source.mjs';

const BACKENDS = ['cpu', 'webgpu', 'webgl', 'cuda'];
const backendPackages = BACKENDS.map((name) => `@tutti/${name}`);
const base = ['@tutti/core'];
const library = [...base, '@tutti/nn', '@tutti/optim', '@tutti/data', '@tutti/conformance'];
const everything = [...library, ...backendPackages, 'tutti'];

/**
 * What the source of each package may import from the others:
 * `core <- nn, optim, data, conformance <- tutti <- cli <- apps, benchmarks`. Siblings do not import each other.
 */
const MAY_IMPORT = {
  '@tutti/core': [],
  '@tutti/nn': base,
  '@tutti/optim': base,
  '@tutti/data': base,
  '@tutti/conformance': base,
  tutti: [...library, ...backendPackages],
  '@tutti/cli': everything,
  '@tutti/testbed': base,
};
/** Not published: a driver and a browser for tests. */
const TESTBED = '@tutti/testbed';
/** Not published: a driver and a compiler for the tests of one backend. */
const EMULATOR = '@tutti/cuda-emulator';
/** Packages outside `packages/` (apps, benchmarks) are the last link of the chain. */
const LAST_LINK = [...everything, '@tutti/cli', TESTBED];
/** A backend sees the contract and nothing else of ours, but for where its buffers and tensors meet. */
const BACKEND_ENTRIES = ['@tutti/core/backend', '@tutti/core/interop'];
/** What tests may import beyond what their package's source may. */
const TESTS_MAY_ALSO_IMPORT = {
  ...Object.fromEntries(backendPackages.map((name) => [name, [...base, '@tutti/conformance', 'tutti']])),
  '@tutti/cuda': [...base, '@tutti/conformance', 'tutti', EMULATOR],
  // Layers, optimisers and loaders are tested with values, which need a device.
  ...Object.fromEntries(['@tutti/nn', '@tutti/optim', '@tutti/data'].map((name) => [name, ['@tutti/cpu']])),
};

/** Development dependencies that a package's build puts into what it publishes. */
const INLINED = { '@tutti/webgl': ['gpu.js'] };

const backendWord = new RegExp(`\\b(${BACKENDS.join('|')})\\b`, 'i');

/** Returns the offences of a workspace: `{ file, line, rule, detail }`, files relative to its root. */
export function checkImports(root) {
  const packages = findPackages(root);
  const ours = new Map(packages.map((each) => [each.name, each]));
  const offences = [];
  for (const pkg of packages) {
    const files = [
      ...sourceFiles(join(pkg.dir, 'src')).map((path) => ({ path, isTest: false })),
      ...sourceFiles(join(pkg.dir, 'test')).map((path) => ({ path, isTest: true })),
    ].map((file) => ({ ...file, ...scanSource(readFileSync(file.path, 'utf8')) }));
    for (const file of files) {
      const offend = (line, rule, detail) =>
        offences.push({ file: relative(root, file.path).split(sep).join('/'), line, rule, detail });
      for (const imported of file.imports) {
        checkImport(imported, file, pkg, ours, (rule, detail) => offend(imported.line, rule, detail));
      }
      if (pkg.name === '@tutti/core' && !file.isTest) {
        for (const { text, line } of file.strings) {
          const word = backendWord.exec(text)?.[0];
          if (word) offend(line, 'core names no backend', `"${word}" in a string`);
        }
      }
    }
    for (const cycle of runtimeCycles(files)) {
      const names = cycle.map((edge) => relative(pkg.dir, edge.from).split(sep).join('/'));
      offences.push({
        file: relative(root, cycle[0].from).split(sep).join('/'),
        line: cycle[0].line,
        rule: 'no import cycles',
        detail: [...names, names[0]].join(' -> '),
      });
    }
  }
  return offences.sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line);
}

function checkImport({ specifier, typeOnly }, file, pkg, ours, offend) {
  if (specifier.startsWith('.')) {
    const target = resolve(dirname(file.path), specifier);
    if (target !== pkg.dir && !target.startsWith(pkg.dir + sep)) {
      offend('no deep imports', `${specifier} leaves the package; import it by its name`);
    } else if (!file.isTest && !target.startsWith(join(pkg.dir, 'src') + sep)) {
      offend('source imports source', `${specifier} is outside src`);
    }
    return;
  }
  if (isBuiltin(specifier) || specifier.startsWith('data:') || specifier.startsWith('/')) return;

  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const target = ours.get(name);
  if (name === pkg.name) {
    if (!file.isTest) offend('no import of itself', `${specifier}; use a relative path`);
  } else if (target !== undefined || everything.includes(name)) {
    checkDirection(specifier, name, file, pkg, offend);
  }
  if (target !== undefined) {
    const subpath = `.${specifier.slice(name.length)}`;
    if (!(subpath in target.exports)) offend('no deep imports', `${specifier} is not an export of ${name}`);
  }
  if (name !== pkg.name && !isDeclared(name, pkg, file.isTest, typeOnly)) {
    offend('declared dependencies', `${name} is not in ${pkg.name}'s package.json`);
  }
}

function checkDirection(specifier, name, file, pkg, offend) {
  const extra = file.isTest ? [...(TESTS_MAY_ALSO_IMPORT[pkg.name] ?? []), TESTBED] : [];
  if (extra.includes(name)) return;
  if (backendPackages.includes(pkg.name)) {
    if (!BACKEND_ENTRIES.includes(specifier))
      offend('import direction', `a backend imports only ${BACKEND_ENTRIES.join(' and ')}, not ${specifier}`);
    return;
  }
  const allowed = MAY_IMPORT[pkg.name] ?? (pkg.group === 'packages' ? [] : LAST_LINK);
  if (!allowed.includes(name)) offend('import direction', `${pkg.name} may not import ${specifier}`);
}

/** Development dependencies serve tests, types that are erased, and private packages. */
function isDeclared(name, pkg, isTest, typeOnly) {
  if (pkg.dependencies.has(name)) return true;
  const inlined = INLINED[pkg.name]?.includes(name);
  if (!isTest && !typeOnly && !pkg.private && !inlined) return false;
  return (
    pkg.devDependencies.has(name) || pkg.devDependencies.has(`@types/${name.replace(/^@(.+)\//, '$1__')}`)
  );
}

/**
 * Cycles of imports that exist at run time. An `import type` is erased by the compiler
 * (verbatimModuleSyntax), so it can neither run a module too early nor load it at all: it is exempt.
 */
function runtimeCycles(files) {
  const edges = new Map();
  for (const file of files.filter((each) => !each.isTest)) {
    const targets = file.imports
      .filter((each) => !each.typeOnly && !each.lazy && each.specifier.startsWith('.'))
      .map((each) => ({ from: file.path, to: resolve(dirname(file.path), each.specifier), line: each.line }));
    edges.set(file.path, targets);
  }
  const cycles = [];
  const state = new Map();
  const path = [];
  const visit = (node) => {
    state.set(node, 'open');
    for (const edge of edges.get(node) ?? []) {
      path.push(edge);
      if (state.get(edge.to) === 'open')
        cycles.push(path.slice(path.findIndex((each) => each.from === edge.to)));
      else if (!state.has(edge.to)) visit(edge.to);
      path.pop();
    }
    state.set(node, 'closed');
  };
  for (const node of edges.keys()) if (!state.has(node)) visit(node);
  return cycles;
}

function findPackages(root) {
  const dirs = [join(root, 'benchmarks')];
  for (const group of ['packages', 'apps']) {
    if (!existsSync(join(root, group))) continue;
    dirs.push(...readdirSync(join(root, group)).map((name) => join(root, group, name)));
  }
  return dirs
    .filter((dir) => existsSync(join(dir, 'package.json')))
    .sort()
    .map((dir) => {
      const manifest = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'));
      const keys = (...fields) => new Set(fields.flatMap((field) => Object.keys(manifest[field] ?? {})));
      const rootManifest = join(root, 'package.json');
      const shared = existsSync(rootManifest)
        ? JSON.parse(readFileSync(rootManifest, 'utf8')).devDependencies
        : {};
      return {
        dir,
        name: manifest.name,
        group: relative(root, dir).split(sep)[0],
        private: manifest.private === true,
        exports: manifest.exports ?? {},
        dependencies: keys('dependencies', 'peerDependencies', 'optionalDependencies'),
        devDependencies: new Set([...keys('devDependencies'), ...Object.keys(shared ?? {})]),
      };
    });
}

function sourceFiles(dir) {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .sort()
    .flatMap((name) => {
      const path = join(dir, name);
      if (statSync(path).isDirectory()) return sourceFiles(path);
      return /\.[cm]?[jt]sx?$/.test(name) && !/\.d\.[cm]?ts$/.test(name) ? [path] : [];
    });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'));
  const offences = checkImports(root);
  for (const { file, line, rule, detail } of offences) console.error(`${file}:${line}  ${rule}: ${detail}`);
  if (offences.length > 0) {
    console.error(
      `${offences.length} ${offences.length === 1 ? 'import breaks' : 'imports break'} the rules of CONTRIBUTING.md`,
    );
    process.exit(1);
  }
}

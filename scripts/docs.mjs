// The generated parts of the docs: `<!-- generated: NAME -->` ... `<!-- /generated -->` in README.md and docs/.
//   node scripts/docs.mjs           writes them
//   node scripts/docs.mjs --check   exits 1 when one is not what it should be
// Needs a build, because the table of backends comes from the code.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const generators = { errors: errorTable, backends: backendTable };

/** The error classes of all packages, as a table: class, code, meaning. Reads their sources. */
export function errorTable(root) {
  const declaration =
    /\/\*\*((?:(?!\*\/).)*)\*\/\s*export class (\w+) extends \w*Error \{(?:(?!^\}).)*?super\(\s*'(TUTTI_\w+)'/gms;
  const rows = [];
  for (const path of sourceFiles(join(root, 'packages'))) {
    for (const [, comment, name, code] of readFileSync(path, 'utf8').matchAll(declaration)) {
      const meaning = comment
        .replaceAll(/^\s*\* ?/gm, '')
        .replaceAll(/\s+/g, ' ')
        .trim();
      const owner = relative(join(root, 'packages'), path).split('/')[0];
      rows.push([`\`${code}\``, `\`${name}\``, `\`@tutti/${owner}\``, meaning]);
    }
  }
  return table(['code', 'class', 'package', 'when'], rows);
}

/** The backends that the umbrella knows, in the order of the automatic choice. */
export async function backendTable(root) {
  const { knownBackends } = await import(join(root, 'packages/tutti/dist/index.js'));
  const rows = knownBackends.map(({ name, package: packageName, runs, included, planned }) => {
    const state = included ? 'comes with `tutti`' : planned ? 'planned' : `\`npm install ${packageName}\``;
    return [`\`${name}\``, `\`${packageName}\``, runs, state];
  });
  return table(['backend', 'package', 'runs on', 'to have it'], rows);
}

/** A table as the formatter leaves it: columns aligned. */
function table(head, rows) {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n');
}

/** All pages with their text as it should be: `{ path, before, after }`. */
export async function renderDocs(root) {
  const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => join('docs', name))];
  return Promise.all(
    pages
      .filter((name) => name.endsWith('.md'))
      .map(async (name) => {
        const path = join(root, name);
        const before = readFileSync(path, 'utf8');
        return { path, before, after: await render(before, root) };
      }),
  );
}

async function render(text, root) {
  const block = /(<!-- generated: (\w+) -->\n).*?(<!-- \/generated -->)/gs;
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(block)) {
    const [whole, opening, name, closing] = match;
    parts.push(text.slice(end, match.index), opening, `\n${await generators[name](root)}\n\n`, closing);
    end = match.index + whole.length;
  }
  return parts.join('') + text.slice(end);
}

function sourceFiles(dir) {
  return readdirSync(dir)
    .sort()
    .flatMap((name) => {
      const path = join(dir, name);
      if (['node_modules', 'dist', 'test'].includes(name)) return [];
      if (statSync(path).isDirectory()) return sourceFiles(path);
      return name.endsWith('.ts') ? [path] : [];
    });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
  const check = process.argv.includes('--check');
  for (const { path, before, after } of await renderDocs(root)) {
    if (before === after) continue;
    if (!check) writeFileSync(path, after);
    console.error(`${relative(root, path)} ${check ? 'is stale: run `npx pnpm run docs`' : 'written'}`);
    if (check) process.exitCode = 1;
  }
}

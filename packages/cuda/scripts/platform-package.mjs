// Puts the addon into the package of its platform, which is the working directory: the `prepack` of packages/cuda-<platform>-<arch>.
// An addon is built on its own platform; a package of another one is refused, so that none is published without its addon.

import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What Node 20 itself needs. An addon that is built on a system with a newer C library may ask for that one. */
const newestGlibc = [2, 28];

const built = join(dirname(fileURLToPath(import.meta.url)), '..', 'build', 'tutti_cuda.node');
const { name, os, cpu } = JSON.parse(readFileSync('package.json', 'utf8'));

function problem() {
  if (!os.includes(process.platform) || !cpu.includes(process.arch)) {
    return `${name} is packed on ${os}-${cpu}, and this is ${process.platform}-${process.arch}`;
  }
  if (!existsSync(built))
    return 'the addon is not built: run `node scripts/build-native.mjs` in packages/cuda first';
  const [major, minor] = neededGlibc(readFileSync(built, 'latin1'));
  if (major > newestGlibc[0] || (major === newestGlibc[0] && minor > newestGlibc[1])) {
    return `the addon needs glibc ${major}.${minor}, and Node 20 runs with ${newestGlibc.join('.')}: build it on an older system, such as RHEL 8 and its like`;
  }
  return undefined;
}

/** The newest version of the C library that a symbol asks for. */
function neededGlibc(image) {
  const versions = [...image.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [
    Number(major),
    Number(minor),
  ]);
  return versions.sort(([a, b], [c, d]) => c - a || d - b)[0] ?? [0, 0];
}

const objection = problem();
if (objection === undefined) copyFileSync(built, 'tutti_cuda.node');
else {
  console.error(objection);
  process.exitCode = 1;
}

// Puts the addon into the package of its platform, which is the working directory: the `prepack` of packages/cuda-<platform>-<arch>.
// An addon is built on its own platform; a package of another one is refused, so that none is published without its addon.
// For machines like this one alone, TUTTI_CUDA_GLIBC says which C library the package may ask for: TUTTI_CUDA_GLIBC=2.34 pnpm pack

import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What Node 20 itself needs. An addon that is built on a system with a newer C library may ask for that one. */
const glibcOfNode = '2.28';
const variable = 'TUTTI_CUDA_GLIBC';
const newestGlibc = process.env[variable] || glibcOfNode;

const built = join(dirname(fileURLToPath(import.meta.url)), '..', 'build', 'tutti_cuda.node');
const { name, os, cpu } = JSON.parse(readFileSync('package.json', 'utf8'));

function problem() {
  if (!os.includes(process.platform) || !cpu.includes(process.arch)) {
    return `${name} is packed on ${os}-${cpu}, and this is ${process.platform}-${process.arch}`;
  }
  if (!existsSync(built))
    return 'the addon is not built: run `node scripts/build-native.mjs` in packages/cuda first';
  if (!/^\d+\.\d+$/.test(newestGlibc))
    return `${variable} is ${newestGlibc}, which is no version of glibc: set it to one such as 2.34`;
  const needed = neededGlibc(readFileSync(built, 'latin1'));
  if (byVersion(newestGlibc, needed) >= 0) return undefined;
  const bound =
    newestGlibc === glibcOfNode ? `Node 20 runs with ${glibcOfNode}` : `${variable} is ${newestGlibc}`;
  return `the addon needs glibc ${needed}, and ${bound}: build it on an older system, such as RHEL 8 and its like
  to use it on this machine: name it in TUTTI_CUDA_ADDON (${built}),
  or pack it for machines that have glibc ${needed}: ${variable}=${needed} pnpm pack`;
}

/** The newest version of the C library that a symbol asks for. */
const neededGlibc = (image) =>
  [...image.matchAll(/GLIBC_(\d+\.\d+)/g)]
    .map(([, version]) => version)
    .sort(byVersion)
    .at(-1) ?? '0.0';

function byVersion(a, b) {
  const [[major, minor], [otherMajor, otherMinor]] = [a, b].map((text) => text.split('.').map(Number));
  return major - otherMajor || minor - otherMinor;
}

const objection = problem();
if (objection === undefined) copyFileSync(built, 'tutti_cuda.node');
else {
  console.error(objection);
  process.exitCode = 1;
}

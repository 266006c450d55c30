// Puts what is used of gpu.js into the one file of dist that imports it, so that nobody installs gpu.js, and the OpenGL and WebGPU for
// Node that it depends on, through this package.
// usage: node scripts/bundle.mjs [dist]
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const here = join(dirname(fileURLToPath(import.meta.url)), '..');
const gpu = dirname(createRequire(import.meta.url).resolve('gpu.js/package.json'));

/** The licence of gpu.js, which asks to be kept with every copy. */
export const licence = readFileSync(join(gpu, 'LICENSE'), 'utf8').trim();

/** What translates JavaScript to GLSL, and its parser: our shaders come as GLSL. */
const translators = /^acorn$|\/function-(builder|node)$|\/kernel-string$/;

const withoutTranslators = {
  name: 'without-translators',
  resolveId: (id) => (translators.test(id) ? '\0nothing.cjs' : undefined),
  load: (id) => (id === '\0nothing.cjs' ? 'module.exports = {};' : undefined),
};

/** Writes the bundle to a folder that `tsc` has filled, and gives its path and size in bytes. */
export async function bundle(dist = join(here, 'dist')) {
  const file = join(dist, 'gpu', 'texel-kernel.js');
  const bundled = await rolldown({
    input: join(here, 'src', 'gpu', 'texel-kernel.ts'),
    platform: 'browser',
    external: /^@tutti\//,
    plugins: [withoutTranslators],
  });
  const comment = licence.replaceAll(/^/gm, ' * ').replaceAll(/ +$/gm, '');
  await bundled.write({ file, format: 'esm', banner: `/*!\n * With parts of gpu.js:\n *\n${comment}\n */` });
  await bundled.close();
  return { file, bytes: statSync(file).size };
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const { file, bytes } = await bundle(process.argv[2] && resolve(process.argv[2]));
  console.log(`${file}: ${Math.round(bytes / 1024)} KiB`);
}

/** What is measured, by the names in the report. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The library itself. */
export const ours = 'tutti';

/** The npm package whose version a name in the report stands for. */
const packages: Readonly<Record<string, string>> = {
  tutti: 'tutti',
  'tfjs-wasm': '@tensorflow/tfjs-backend-wasm',
  'tfjs-webgpu': '@tensorflow/tfjs-backend-webgpu',
  'tfjs-webgl': '@tensorflow/tfjs-backend-webgl',
  'onnxruntime-web': 'onnxruntime-web',
  'jax-js': '@jax-js/jax',
};

/** "@jax-js/jax 0.1.25"; of what is no npm package the name alone, whose version is in its description. */
export function packageWithVersion(library: string): string {
  const name = packages[library];
  if (name === undefined) return library;
  let folder = dirname(fileURLToPath(import.meta.resolve(name)));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  return `${name} ${version}`;
}

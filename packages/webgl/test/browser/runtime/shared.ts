/** One device for all checks, and programs that are ready. */
import type { GlslProgram } from '../../../src/program.ts';
import { make, type TestDevice } from '../device.ts';

export async function ready({ backend }: TestDevice, glsl: GlslProgram) {
  const loaded = backend.load(glsl);
  await loaded.ready;
  return loaded;
}

let shared: TestDevice | undefined;

/** Made when it is first asked for. */
export function device(): TestDevice {
  shared ??= make();
  return shared;
}

/** The libraries that a process can measure. Those of a page are in `page.ts`. */
import type { Adapters } from '../carry-out.ts';
import { registerDevice } from '../devices.ts';
import type { ProcessPlace } from '../suites.ts';

/** @param device The id of the device that is measured. */
export function processAdapters(place: ProcessPlace, device: string): Adapters {
  const tutti = async (jit: boolean) =>
    (await import('./tutti.ts')).tutti({ device, jit, register: () => registerDevice(device) });
  return {
    node: {
      tutti: () => tutti(false),
      'tfjs-wasm': async () => (await import('./tfjs-wasm.ts')).adapter,
      'jax-js': async () => (await import('./jax-js.ts')).jaxJs('wasm'),
    },
    dawn: { tutti: () => tutti(false) },
    cuda: { tutti: () => tutti(true) },
  }[place];
}

/** Loads what is published, and computes with it. */
import type { BackendFactory } from '@tutti/core/backend';

const checks = {
  async compute(entry: string) {
    const { webgl } = (await import(/* @vite-ignore */ entry)) as { readonly webgl: BackendFactory };
    const found = await webgl.probe();
    const backend = await webgl.open(0);
    const buffer = backend.allocate(8);
    backend.write(buffer, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    backend.write(buffer, Uint8Array.of(9, 9), 3); // a draw, because it is no whole texel
    const bytes = [...(await backend.read(buffer, 0, 8))];
    backend.dispose();
    return { available: found.available, bytes };
  },
};

Object.assign(globalThis, { checks });
export type Checks = typeof checks;

/** Products that the library was asked to prepare: one of a kind, however many programs have it. */
import { messageOf } from '@tutti/core/backend';
import type { ProductDescription } from '../native/binding.ts';
import type { CudaDevice } from './device.ts';
import { codeOf, libraryOutOfMemory } from './failures.ts';

/** The number of a prepared product, or why the library has none. */
export type Prepared =
  | { readonly id: number; readonly refusal?: undefined }
  | { readonly id: -1; readonly refusal: string };

export class Products {
  readonly #device: CudaDevice;
  /** By what they are. Refusals too: the library's answer does not change. */
  readonly #prepared = new Map<string, Prepared>();

  constructor(device: CudaDevice) {
    this.#device = device;
  }

  prepare(product: ProductDescription): Prepared {
    const key = JSON.stringify(product);
    const known = this.#prepared.get(key);
    if (known) return known;
    const prepared = this.#device.callWithMemory<Prepared>('while a product was prepared', (native) => {
      try {
        return { id: native.prepareProduct(product) };
      } catch (error) {
        const code = codeOf(error);
        if (code === libraryOutOfMemory || !code?.startsWith('CUBLAS_STATUS_')) throw error;
        return { id: -1, refusal: messageOf(error) };
      }
    });
    this.#prepared.set(key, prepared);
    return prepared;
  }

  /** Forgets them. The device releases what it has. */
  dispose(): void {
    this.#prepared.clear();
  }
}

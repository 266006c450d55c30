/** What fragments can do: each stores one element, where it is. */
import type { KernelNeed } from '@tutti/core/testing';

export const capabilities: Readonly<Record<KernelNeed, boolean>> = {
  rowPrograms: false,
  multipleOutputs: false,
  scatterStores: false,
};

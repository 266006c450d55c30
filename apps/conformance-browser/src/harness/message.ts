import type { ConformanceProgress, ConformanceReport } from '@tutti/conformance';

/** All that a page can have. */
export const pageBackends: readonly string[] = ['cpu', 'webgpu', 'webgl'];

/** What the page posts to the harness, as JSON. */
export type PageMessage =
  | { readonly kind: 'progress'; readonly progress: ConformanceProgress }
  | {
      readonly kind: 'result';
      /** Whether the page had SharedArrayBuffer, and so worker threads. */
      readonly isolated: boolean;
      readonly report: ConformanceReport;
    }
  | { readonly kind: 'error'; readonly text: string };

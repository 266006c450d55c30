import { defineConfig } from 'vite';

// Cross-origin isolation: without these two headers a page has only coarse times, and no worker threads.
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  build: { target: 'es2022', chunkSizeWarningLimit: 10_000 },
  worker: { format: 'es' },
  preview: { headers: isolation },
});

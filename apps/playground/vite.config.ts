import { defineConfig } from 'vite';
import { mnist } from './scripts/mnist.ts';

// Cross-origin isolation: without these two headers a page has no SharedArrayBuffer, and so no worker threads.
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  base: './', // what is built may lie in any folder of a server
  plugins: [mnist()],
  build: { target: 'es2022' },
  worker: { format: 'es' },
  server: { headers: isolation },
  preview: { headers: isolation },
});

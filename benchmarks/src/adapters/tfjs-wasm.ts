/** TensorFlow.js with its WebAssembly backend, in Node. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Adapter, Session } from './adapter.ts';
import { prepareTfjs } from './tfjs.ts';

export const adapter: Adapter = {
  name: 'tfjs-wasm',
  async open(): Promise<Session> {
    const tf = await import('@tensorflow/tfjs-core');
    const wasm = await import('@tensorflow/tfjs-backend-wasm');
    const packageFile = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(`${dirname(packageFile)}/`);
    await tf.setBackend('wasm');
    const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
    const threaded = await tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT');
    const threads = threaded ? wasm.getThreadsCount() : 1;
    const cannotTrain = 'its WebAssembly backend has no gradient of a convolution by the filter';
    return {
      description: `${simd ? 'SIMD' : 'no SIMD'}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
      prepare: async (work, operands) => prepareTfjs({ tf, cannotTrain }, work, operands),
    };
  },
};

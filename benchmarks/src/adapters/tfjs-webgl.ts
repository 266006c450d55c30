/** TensorFlow.js with its WebGL backend, in a page. */
import type { MathBackendWebGL } from '@tensorflow/tfjs-backend-webgl';
import type { Adapter, Session } from './adapter.ts';
import { describeRenderer, passFence } from './gl.ts';
import { prepareTfjs } from './tfjs.ts';

export const adapter: Adapter = {
  name: 'tfjs-webgl',
  async open(): Promise<Session> {
    const tf = await import('@tensorflow/tfjs-core');
    // Gradients are registered apart from the operations.
    await import('@tensorflow/tfjs-core/dist/register_all_gradients.js');
    await import('@tensorflow/tfjs-backend-webgl');
    await tf.setBackend('webgl');
    const gl = (tf.backend() as MathBackendWebGL).getGPGPUContext().gl as WebGL2RenderingContext;
    return {
      description: `${describeRenderer(gl)}; waits by a fence`,
      prepare: async (work, operands) => prepareTfjs({ tf, wait: () => passFence(gl) }, work, operands),
    };
  },
};

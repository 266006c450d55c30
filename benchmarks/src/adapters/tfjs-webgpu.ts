/** TensorFlow.js with its WebGPU backend, in a page. */
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { Adapter, Session } from './adapter.ts';
import { describeAdapter } from './gpu.ts';
import { prepareTfjs } from './tfjs.ts';

export const adapter: Adapter = {
  name: 'tfjs-webgpu',
  async open(): Promise<Session> {
    const tf = await import('@tensorflow/tfjs-core');
    // Gradients are registered apart from the operations.
    await import('@tensorflow/tfjs-core/dist/register_all_gradients.js');
    await import('@tensorflow/tfjs-backend-webgpu');
    await tf.setBackend('webgpu');
    const backend = tf.backend() as unknown as WebGPUBackend;
    const device = backend.device as unknown as GPUDevice;
    const wait = async (): Promise<void> => {
      // It queues up to 15 dispatches before it submits by itself; this is how it does so when data is asked for.
      backend.ensureCommandEncoderReady();
      backend.endComputePassEncoder();
      backend.submitQueue();
      await device.queue.onSubmittedWorkDone();
    };
    return {
      description: `${describeAdapter(device.adapterInfo)}; waits by onSubmittedWorkDone`,
      prepare: async (work, operands) => prepareTfjs({ tf, wait }, work, operands),
    };
  },
};

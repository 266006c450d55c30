/** What drawing and computing beside the kernels takes of a device. */

type AnyPipeline = GPUComputePipeline | GPURenderPipeline;

const pipelines = new WeakMap<GPUDevice, Map<string, AnyPipeline>>();

/** A pipeline, compiled once for each device and label. */
export function pipelineOf<P extends AnyPipeline>(
  device: GPUDevice,
  label: string,
  code: string,
  create: (module: GPUShaderModule) => P,
): P {
  let known = pipelines.get(device);
  if (!known) pipelines.set(device, (known = new Map()));
  let pipeline = known.get(label) as P | undefined;
  if (!pipeline) {
    pipeline = create(device.createShaderModule({ label, code }));
    known.set(label, pipeline);
  }
  return pipeline;
}

/** `UNIFORM | COPY_DST`: the names are globals in browsers only. */
const uniformUsage = 0x40 | 0x08;

/** To be destroyed by whoever made it. */
export function uniformBuffer(device: GPUDevice, data: Uint32Array<ArrayBuffer>): GPUBuffer {
  const buffer = device.createBuffer({ size: data.byteLength, usage: uniformUsage });
  device.queue.writeBuffer(buffer, 0, data);
  return buffer;
}

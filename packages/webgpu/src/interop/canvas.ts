/** Tensors on canvases. */
import type { DeviceBuffer } from '@tutti/core/backend';
import {
  checkPicture,
  checkPictureSize,
  contextOfCanvas,
  type Device,
  type Picture,
  type PixelDType,
  refuseInTrace,
  type Tensor,
  useDeviceBuffer,
} from '@tutti/core/interop';
import { backendOf } from './device.ts';
import { pipelineOf, uniformBuffer } from './resources.ts';

const op = 'toCanvas';

/**
 * Shows a tensor on a canvas, whose size becomes that of the tensor. The pixels never leave the GPU.
 *
 * Shape `[height, width]` or `[height, width, channels]` with 1 (grey), 3 (RGB) or 4 channels (RGBA, alpha not multiplied in).
 * dtype uint8 is 0 to 255, float32 is 0 to 1; what is outside is clamped.
 *
 * The canvas is drawn when the promise resolves, and on the page with its next frame. Like every canvas that WebGPU draws, it
 * can be copied (`drawImage`, `toBlob`) until the browser goes on to its next task: do it at once.
 *
 * @param canvas One that has no context yet, or one of WebGPU.
 * @throws ShapeError, also for more pixels in a row or a column than the device can draw; DTypeError; ArgumentError for what is
 * no tensor, what is no canvas, and one that has another context; DeviceError for a tensor that is not on WebGPU.
 *
 * @example
 * await toCanvas(sub(1, fromImage(video, { dtype: 'float32' })), canvas); // the negative
 */
export function toCanvas(tensor: Tensor, canvas: HTMLCanvasElement | OffscreenCanvas): Promise<void> {
  refuseInTrace(op); // at once, because nobody there could wait for a promise
  return show(tensor, canvas);
}

async function show(tensor: Tensor, canvas: HTMLCanvasElement | OffscreenCanvas): Promise<void> {
  const picture = checkPicture(tensor);
  const context = contextOfCanvas(
    canvas,
    'webgpu',
    'take a canvas of its own, and copy it: await toCanvas(x, other); context2d.drawImage(other, 0, 0)',
  ) as GPUCanvasContext;
  await useDeviceBuffer(tensor, op, (own, device) => present(device, own, picture, context));
}

function present(on: Device, own: DeviceBuffer, picture: Picture, context: GPUCanvasContext): void {
  const backend = backendOf(on, op);
  const { gpu, offset } = backend.memoryOf(own);
  const { height, width, channels } = picture;
  const { canvas } = context;
  backend.perform('while a tensor was drawn', (device) => {
    // What is too large for a texture would be an error of WebGPU, which ends the device.
    checkPictureSize(picture, device.limits.maxTextureDimension2D);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const format = navigator.gpu.getPreferredCanvasFormat();
    context.configure({ device, format, alphaMode: channels === 4 ? 'premultiplied' : 'opaque' });
    const pipeline = canvasPipeline(device, picture, format);
    const binding = { buffer: gpu, offset, size: Math.ceil(own.bytes / 4) * 4 };
    draw(device, pipeline, context.getCurrentTexture(), [
      binding,
      uniformBuffer(device, Uint32Array.of(width, 0, 0, 0)),
    ]);
  });
}

const load: Readonly<Record<PixelDType, string>> = {
  float32: 'return elements[index];',
  uint8: 'return f32((elements[index / 4u] >> (8u * (index % 4u))) & 255u) / 255.0;',
};

const colours: Readonly<Record<number, string>> = {
  1: 'vec4<f32>(vec3<f32>(value(first)), 1.0)',
  3: 'vec4<f32>(value(first), value(first + 1u), value(first + 2u), 1.0)',
  4: 'vec4<f32>(value(first), value(first + 1u), value(first + 2u), 1.0) * value(first + 3u)',
};

const code = (dtype: PixelDType, channels: number): string => `
@group(0) @binding(0) var<storage, read> elements: array<${dtype === 'uint8' ? 'u32' : 'f32'}>;
@group(0) @binding(1) var<uniform> width: vec4<u32>;

fn load(index: u32) -> f32 { ${load[dtype]} }
fn value(index: u32) -> f32 { return clamp(load(index), 0.0, 1.0); }

// One triangle that covers the canvas.
@vertex fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
  return vec4<f32>(f32((i << 1u) & 2u) * 2.0 - 1.0, f32(i & 2u) * 2.0 - 1.0, 0.0, 1.0);
}

@fragment fn pixel(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
  let first = (u32(at.y) * width.x + u32(at.x)) * ${channels}u;
  return ${colours[channels]};
}`;

function canvasPipeline(
  device: GPUDevice,
  { dtype, channels }: Picture,
  format: GPUTextureFormat,
): GPURenderPipeline {
  const label = `${op} ${dtype} ${channels} ${format}`;
  return pipelineOf(device, label, code(dtype, channels), (module) =>
    device.createRenderPipeline({
      label,
      layout: 'auto',
      vertex: { module, entryPoint: 'corner' },
      fragment: { module, entryPoint: 'pixel', targets: [{ format }] },
    }),
  );
}

function draw(
  device: GPUDevice,
  pipeline: GPURenderPipeline,
  target: GPUTexture,
  [elements, size]: readonly [GPUBufferBinding, GPUBuffer],
): void {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginRenderPass({
    colorAttachments: [{ view: target.createView(), loadOp: 'clear', storeOp: 'store' }],
  });
  pass.setPipeline(pipeline);
  const entries = [elements, { buffer: size }].map((resource, binding) => ({ binding, resource }));
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.draw(3);
  pass.end();
  device.queue.submit([encoder.finish()]);
  size.destroy(); // what has been submitted still sees it
}

/**
 * Pixels to elements: `element[(y * width + x) * channels + c] = (colour of channel c at (x, y) - mean[c]) * scale[c]`. One
 * invocation makes one 32-bit word: a float32, or four uint8, which may be of two pixels.
 */
import type { Channels, PixelDType } from '@tutti/core/interop';
import { pipelineOf } from './resources.ts';

const workgroup = 64;
const mostWorkgroups = 65535;

const shared = (channels: Channels): string => `
struct Parameters { source: vec2<u32>, target_size: vec2<u32>, mean: vec4<f32>, scale: vec4<f32> }
@group(0) @binding(0) var image: texture_2d<f32>;
@group(0) @binding(2) var<uniform> parameters: Parameters;

fn texel(x: u32, y: u32) -> vec4<f32> { return textureLoad(image, vec2<u32>(x, y), 0); }

fn colour(at: vec2<u32>) -> vec4<f32> {
  let size = parameters.source;
  if (all(size == parameters.target_size)) { return texel(at.x, at.y); }
  let ratio = vec2<f32>(size) / vec2<f32>(parameters.target_size);
  let place = clamp((vec2<f32>(at) + 0.5) * ratio - 0.5, vec2<f32>(0.0), vec2<f32>(size - 1u));
  let low = vec2<u32>(place);
  let high = min(low + 1u, size - 1u);
  let part = place - vec2<f32>(low);
  let top = mix(texel(low.x, low.y), texel(high.x, low.y), part.x);
  let bottom = mix(texel(low.x, high.y), texel(high.x, high.y), part.x);
  return mix(top, bottom, part.y);
}

fn element(index: u32) -> f32 {
  let channel = index % ${channels}u;
  let pixel = index / ${channels}u;
  let rgba = colour(vec2<u32>(pixel % parameters.target_size.x, pixel / parameters.target_size.x));
  let value = ${channels === 1 ? 'dot(rgba.rgb, vec3<f32>(0.299, 0.587, 0.114))' : 'rgba[channel]'};
  return (value - parameters.mean[channel]) * parameters.scale[channel];
}

fn count() -> u32 { return parameters.target_size.x * parameters.target_size.y * ${channels}u; }
`;

const word: Readonly<Record<PixelDType, { readonly type: string; readonly store: string }>> = {
  float32: { type: 'f32', store: 'if (word < count()) { elements[word] = element(word); }' },
  uint8: {
    type: 'u32',
    store: `
  var bytes = vec4<u32>(0u);
  for (var i = 0u; i < 4u; i++) {
    let index = word * 4u + i;
    if (index < count()) { bytes[i] = u32(clamp(element(index), 0.0, 1.0) * 255.0 + 0.5); }
  }
  if (word * 4u < count()) {
    elements[word] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
  }`,
  },
};

const code = (dtype: PixelDType, channels: Channels): string => `${shared(channels)}
@group(0) @binding(1) var<storage, read_write> elements: array<${word[dtype].type}>;

@compute @workgroup_size(${workgroup})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let word = (group.y * groups.x + group.x) * ${workgroup}u + local;
  ${word[dtype].store}
}`;

/** The pipeline that makes elements of pixels. */
export function imagePipeline(device: GPUDevice, dtype: PixelDType, channels: Channels): GPUComputePipeline {
  const label = `fromImage ${dtype} ${channels}`;
  return pipelineOf(device, label, code(dtype, channels), (module) =>
    device.createComputePipeline({ label, layout: 'auto', compute: { module, entryPoint: 'main' } }),
  );
}

/** Submits a pipeline that makes so many words. */
export function runOver(
  device: GPUDevice,
  words: number,
  pipeline: GPUComputePipeline,
  resources: readonly GPUBindingResource[],
): void {
  const workgroups = Math.ceil(words / workgroup);
  const wide = Math.min(workgroups, mostWorkgroups);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = resources.map((resource, binding) => ({ binding, resource }));
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(wide, Math.ceil(workgroups / wide));
  pass.end();
  device.queue.submit([encoder.finish()]);
}

/**
 * Whether the built-in conversion of halves gives the value of all 65,536, which WGSL leaves open: denormals may become zero.
 *
 * It is asked of the device itself, once, as it stands and as a factor of a product, since compilers may convert within one.
 */
import { halvesFunctions } from '../kernels/functions/halves.ts';

/** `STORAGE | COPY_SRC`, `MAP_READ | COPY_DST`, and `GPUMapMode.READ`: the names are globals in browsers only. */
const usage = { wrong: 0x80 | 0x04, answer: 0x01 | 0x08 };
const mapRead = 1;

const code = `@group(0) @binding(0) var<storage, read_write> wrong: atomic<u32>;

${halvesFunctions.f16_to_f32}

fn differ(got: f32, want: f32) -> bool {
  let both_nan = ((bitcast<u32>(got) & 0x7fffffffu) > 0x7f800000u) & ((bitcast<u32>(want) & 0x7fffffffu) > 0x7f800000u);
  return !both_nan & (bitcast<u32>(got) != bitcast<u32>(want));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>) {
  let want = f16_to_f32(id.x);
  let got = unpack2x16float(id.x * 65537u);
  let one = f32(grid.y);
  if (differ(got.x, want) | differ(got.y, want) | differ(got.x * one, want) | differ(got.y * one, want)) {
    atomicOr(&wrong, 1u);
  }
}
`;

/** False as well where the device gives no answer: whatever ails it is found out by those who use it. */
export async function convertsHalves(device: GPUDevice): Promise<boolean> {
  const wrong = device.createBuffer({ size: 4, usage: usage.wrong });
  const answer = device.createBuffer({ size: 4, usage: usage.answer });
  try {
    const module = device.createShaderModule({ code });
    const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const entries = [{ binding: 0, resource: { buffer: wrong } }];
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(65536 / 256);
    pass.end();
    encoder.copyBufferToBuffer(wrong, 0, answer, 0, 4);
    device.queue.submit([encoder.finish()]);
    await answer.mapAsync(mapRead);
    return new Uint32Array(answer.getMappedRange())[0] === 0;
  } catch {
    return false;
  } finally {
    wrong.destroy();
    answer.destroy();
  }
}

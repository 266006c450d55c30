/** Writes commands into one command buffer, with as few passes as they allow. */
import type { BoundCommand } from './bind.ts';
import type { GpuDevice } from './device.ts';
import type { Uniforms } from './uniforms.ts';

export class Encoder {
  readonly #device: GpuDevice;
  readonly #uniforms: Uniforms;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pipeline: GPUComputePipeline | undefined;
  readonly #offset: number[] = [0];

  constructor(device: GpuDevice, uniforms: Uniforms) {
    this.#device = device;
    this.#uniforms = uniforms;
  }

  /** With `timestamps`, in a pass of its own that notes when it began and ended. */
  dispatch({ stages, scalars }: BoundCommand, timestamps?: GPUComputePassTimestampWrites): void {
    if (scalars) this.#offset[0] = this.#place(scalars);
    if (timestamps) this.#endPass();
    this.#pass ??= this.#commands.beginComputePass(timestamps && { timestampWrites: timestamps });
    for (const { pipeline, group, workgroups, readsScalars } of stages) {
      if (pipeline !== this.#pipeline) this.#pass.setPipeline(pipeline);
      this.#pipeline = pipeline;
      if (readsScalars) this.#pass.setBindGroup(0, group, this.#offset);
      else this.#pass.setBindGroup(0, group);
      this.#pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
    }
    if (timestamps) this.#endPass();
  }

  copy(
    source: GPUBuffer,
    sourceOffset: number,
    target: GPUBuffer,
    targetOffset: number,
    bytes: number,
  ): void {
    this.#endPass();
    this.#commands.copyBufferToBuffer(source, sourceOffset, target, targetOffset, bytes);
  }

  /** Notes the time, between what comes before and what comes after. */
  timestamp(timestamps: GPUComputePassTimestampWrites): void {
    this.#endPass();
    this.#commands.beginComputePass({ timestampWrites: timestamps }).end();
  }

  resolve(queries: GPUQuerySet, count: number, target: GPUBuffer): void {
    this.#endPass();
    this.#commands.resolveQuerySet(queries, 0, count, target, 0);
  }

  /** Sends what was encoded, if anything. */
  submit(): void {
    this.#endPass();
    if (!this.#encoder) return;
    const commands = this.#encoder.finish();
    this.#encoder = undefined;
    this.#uniforms.flush();
    this.#device.queue.submit([commands]);
  }

  /** Forgets what was encoded since the last `submit`. */
  abandon(): void {
    this.#encoder = undefined;
    this.#pass = undefined;
    this.#pipeline = undefined;
    this.#uniforms.clear();
  }

  get #commands(): GPUCommandEncoder {
    return (this.#encoder ??= this.#device.device.createCommandEncoder());
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#pipeline = undefined;
  }

  #place(scalars: Uint32Array): number {
    let offset = this.#uniforms.add(scalars);
    if (offset === undefined) {
      this.submit();
      offset = this.#uniforms.add(scalars)!;
    }
    return offset;
  }
}

/** Commands in the form that an encoder takes, prepared once for each command. */
import {
  type Buffers,
  type DispatchCommand,
  freedError,
  InternalError,
  scalarBits,
  type Workspace,
} from '@tutti/core/backend';
import type { Block, WebgpuBuffer } from './buffer.ts';
import type { GpuDevice } from './device.ts';
import type { Executable } from './executable.ts';
import type { Layout } from './pipelines.ts';
import type { Uniforms } from './uniforms.ts';

/** One dispatch. */
export interface BoundStage {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
  /** The stage reads the scalars: its bind group wants the offset where they are. */
  readonly readsScalars: boolean;
}

export interface BoundCommand {
  readonly stages: readonly BoundStage[];
  readonly buffers: readonly WebgpuBuffer[];
  /** Raw bits of the scalars. */
  readonly scalars: Uint32Array | undefined;
  /** The scratch memory that is bound; another one may have taken its place since. */
  readonly workspace: Block | undefined;
}

interface Resource {
  readonly gpu: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
  /** Tells resources apart, in keys; undefined for memory of the user, which nothing here keeps alive. */
  readonly number: number | undefined;
}

/**
 * Bytes that a binding of a buffer spans. WebGPU has no empty bindings, and a view as an array of vectors needs 16 bytes; the rest of the
 * block belongs to nobody.
 */
const bindingBytes = ({ bytes }: WebgpuBuffer): number => Math.max(16, Math.ceil(bytes / 16) * 16);

/** So many bind groups are kept for commands that come anew with buffers that were together before. */
const mostGroups = 8192;

export class Binder {
  readonly #device: GpuDevice;
  readonly #buffers: Buffers<Block>;
  readonly #workspace: Workspace<Block>;
  readonly #uniforms: Uniforms;
  readonly #executable: (command: DispatchCommand) => Executable;
  readonly #bound = new WeakMap<DispatchCommand, BoundCommand>();
  /** By layout and buffers; the least recently used is first. */
  readonly #groups = new Map<string, GPUBindGroup>();

  /** @param executable The program of a command, if it is one of this device. */
  constructor(
    device: GpuDevice,
    buffers: Buffers<Block>,
    workspace: Workspace<Block>,
    uniforms: Uniforms,
    executable: (command: DispatchCommand) => Executable,
  ) {
    this.#device = device;
    this.#buffers = buffers;
    this.#workspace = workspace;
    this.#uniforms = uniforms;
    this.#executable = executable;
  }

  /** @throws DisposedError when a buffer has been freed. */
  bind(command: DispatchCommand): BoundCommand {
    const known = this.#bound.get(command);
    if (known && (!known.workspace || known.workspace === this.#workspace.block)) {
      for (const buffer of known.buffers) if (buffer.freed) throw freedError();
      return known;
    }
    const bound = this.#make(command);
    this.#bound.set(command, bound);
    return bound;
  }

  #make(command: DispatchCommand): BoundCommand {
    const own = command.buffers.map((buffer) => this.#buffers.own(buffer));
    const executable = this.#executable(command);
    const { wgsl, pipelines } = executable;
    const workspace = wgsl.workspaceBytes > 0 ? this.#workspace.block : undefined;
    const stages = wgsl.stages.map((stage, i): BoundStage => {
      const resources = stage.bindings.map(({ source }): Resource => {
        if (source.kind === 'scalars')
          return { ...this.#uniforms.binding(wgsl.scalarTypes.length), offset: 0 };
        if (source.kind === 'workspace')
          return { ...workspace!, bytes: Math.ceil(wgsl.workspaceBytes / 16) * 16 };
        const buffer = own[source.index];
        if (!buffer)
          throw new InternalError(`kernel ${wgsl.name}: buffer ${source.index} of its binding is missing`);
        return { ...buffer.block, bytes: bindingBytes(buffer) };
      });
      return {
        pipeline: executable.compiled(i),
        group: this.#group(pipelines[i]!.layout, resources),
        workgroups: stage.workgroups,
        readsScalars: stage.bindings.some(({ source }) => source.kind === 'scalars'),
      };
    });
    const bits = scalarBits(wgsl, command.scalars);
    const read = stages.some(({ readsScalars }) => readsScalars);
    return { stages, buffers: own, scalars: read ? bits : undefined, workspace };
  }

  #group(layout: Layout, resources: readonly Resource[]): GPUBindGroup {
    if (resources.some(({ number }) => number === undefined)) return this.#makeGroup(layout, resources);
    let key = `${layout.number}`;
    for (const { number, bytes } of resources) key += `,${number}:${bytes}`;
    let group = this.#groups.get(key);
    if (group) this.#groups.delete(key);
    group ??= this.#makeGroup(layout, resources);
    this.#groups.set(key, group); // last in the map: most recently used
    if (this.#groups.size > mostGroups) this.#groups.delete(this.#groups.keys().next().value!);
    return group;
  }

  #makeGroup(layout: Layout, resources: readonly Resource[]): GPUBindGroup {
    return this.#device.device.createBindGroup({
      layout: layout.group,
      entries: resources.map(({ gpu, offset, bytes }, binding) => ({
        binding,
        resource: { buffer: gpu, offset, size: bytes },
      })),
    });
  }

  dispose(): void {
    this.#groups.clear();
  }
}

/** From WGSL to pipelines: compiled in parallel, kept by their text, and with errors that show the text. */
import { KernelError, messageOf, numbered, type TuttiError } from '@tutti/core/backend';
import type { StageBinding, WgslStage } from '../program.ts';
import type { GpuDevice } from './device.ts';

/** Bindings of a stage as WebGPU knows them. Stages whose bindings are alike share one, and with it bind groups. */
export interface Layout {
  readonly group: GPUBindGroupLayout;
  readonly pipeline: GPUPipelineLayout;
  readonly number: number;
}

export interface Pipeline {
  readonly layout: Layout;
  /** Set when it is compiled. */
  readonly compiled: GPUComputePipeline | undefined;
  readonly ready: Promise<void>;
}

/** `GPUShaderStage.COMPUTE`: the name is a global in browsers only. */
const computeStage = 4;

const bindingTypes: Readonly<Record<StageBinding['access'], GPUBufferBindingLayout>> = {
  read: { type: 'read-only-storage' },
  readWrite: { type: 'storage' },
  // Scalars of all commands of a submission lie in one buffer; each binding says where its own are.
  uniform: { type: 'uniform', hasDynamicOffset: true },
};

export class Pipelines {
  readonly #device: GpuDevice;
  readonly #layouts = new Map<string, Layout>();
  readonly #pipelines = new Map<string, Pipeline>();

  constructor(device: GpuDevice) {
    this.#device = device;
  }

  /** The pipeline of a stage; `name` is the program's, for messages. With `now` it is compiled before this returns. */
  get(stage: WgslStage, name: string, when: 'now' | 'later'): Pipeline {
    const accesses = stage.bindings.map((binding) => binding.access);
    const key = `${accesses.join()}\n${stage.code}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline) return pipeline;
    const layout = this.#layoutOf(accesses);
    pipeline =
      when === 'now' ? this.#compileNow(stage, name, layout) : this.#compileLater(stage, name, layout);
    this.#pipelines.set(key, pipeline);
    return pipeline;
  }

  #layoutOf(accesses: readonly StageBinding['access'][]): Layout {
    const key = accesses.join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      const { device } = this.#device;
      const group = device.createBindGroupLayout({
        label: key,
        entries: accesses.map((access, binding) => ({
          binding,
          visibility: computeStage,
          buffer: bindingTypes[access],
        })),
      });
      const pipeline = device.createPipelineLayout({ label: key, bindGroupLayouts: [group] });
      layout = { group, pipeline, number: this.#layouts.size };
      this.#layouts.set(key, layout);
    }
    return layout;
  }

  #compileLater(stage: WgslStage, name: string, layout: Layout): Pipeline {
    const pipeline: { compiled: GPUComputePipeline | undefined } & Pipeline = {
      layout,
      compiled: undefined,
      ready: this.#device.health.guard(
        this.#compile(stage, name, layout).then((compiled) => {
          pipeline.compiled = compiled;
        }),
      ),
    };
    pipeline.ready.catch(() => {}); // told to those who wait for the program
    return pipeline;
  }

  #compileNow({ code }: WgslStage, name: string, layout: Layout): Pipeline {
    const { device } = this.#device;
    const module = device.createShaderModule({ label: name, code });
    const compiled = device.createComputePipeline({
      label: name,
      layout: layout.pipeline,
      compute: { module, entryPoint: 'main' },
    });
    return { layout, compiled, ready: Promise.resolve() };
  }

  async #compile({ code }: WgslStage, name: string, layout: Layout): Promise<GPUComputePipeline> {
    const { device } = this.#device;
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: name, code });
    const moduleError = device.popErrorScope();
    const descriptor: GPUComputePipelineDescriptor = {
      label: name,
      layout: layout.pipeline,
      compute: { module, entryPoint: 'main' },
    };
    const [error, pipeline] = await Promise.allSettled([
      moduleError,
      device.createComputePipelineAsync(descriptor),
    ]);
    if (pipeline.status === 'fulfilled' && error.status === 'fulfilled' && !error.value)
      return pipeline.value;
    const reason = pipeline.status === 'rejected' ? pipeline.reason : undefined;
    const text = error.status === 'fulfilled' ? error.value?.message : undefined;
    throw await compileError(name, code, module, text ?? messageOf(reason), reason);
  }
}

async function compileError(
  name: string,
  code: string,
  module: GPUShaderModule,
  message: string,
  cause: unknown,
): Promise<TuttiError> {
  const info = await module.getCompilationInfo().catch(() => undefined);
  const places = (info?.messages ?? [])
    .filter((each) => each.type === 'error')
    .map((each) => `line ${each.lineNum}, column ${each.linePos}: ${each.message}`);
  const [first = message.split('\n')[0], ...others] = places;
  const more = others.length > 0 ? ` (and ${others.length} more)` : '';
  return new KernelError(`kernel ${name} does not compile: ${first}${more}`, {
    op: name,
    received: numbered(code),
    cause,
    fix: 'this is a defect of the library; please report it with the WGSL in `received`',
  });
}

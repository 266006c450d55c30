/** Runs a generated kernel on this thread, in an unshared memory with guard zones, cut into ranges as threads would. */

import { dtypeInfo, type Kernel } from '@tutti/core/backend';
import { type BufferContents, bufferContents } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { WasmProgram } from '../../src/program.ts';
import { ModuleBuilder } from '../../src/wasm/index.ts';

const guard = 256;
const pattern = 0xa5;

type StageFunction = (begin: number, end: number, args: number, scratch: number) => void;

/** The wasm functions of a program's stages, on a memory. */
function instantiate(program: WasmProgram, memory: WebAssembly.Memory): readonly StageFunction[] {
  const module = new ModuleBuilder({ shared: false });
  for (const [i, stage] of program.stages.entries()) {
    const signature = { params: ['i32', 'i32', 'i32', 'i32'], results: [] } as const;
    module.export(
      `stage${i}`,
      module.function(`${program.name} ${i}`, signature, (fn) => stage.emit(fn, module)),
    );
  }
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()), { env: { memory } });
  return program.stages.map((_, i) => instance.exports[`stage${i}`] as StageFunction);
}

class Layout {
  readonly memory: WebAssembly.Memory;
  readonly addresses: readonly number[];
  readonly args: number;
  readonly scratch: number;
  readonly #guards: readonly (readonly [number, number])[];

  constructor(program: WasmProgram, buffers: readonly BufferContents[], scalars: readonly number[]) {
    const guards: [number, number][] = [[0, guard]];
    let top = guard;
    const place = (bytes: number): number => {
      const at = top;
      top = Math.ceil((at + bytes) / 64) * 64 + guard;
      guards.push([at + bytes, top]);
      return at;
    };
    this.addresses = buffers.map((buffer) => place(buffer.byteLength));
    const workspace = place(program.workspaceBytes);
    this.scratch = place(program.scratchBytes);
    this.args = place(4 * (buffers.length + 1 + scalars.length));
    this.memory = new WebAssembly.Memory({ initial: Math.ceil(top / 65536) });
    this.#guards = guards;
    new Uint8Array(this.memory.buffer).fill(pattern);
    for (const [i, buffer] of buffers.entries()) {
      new Uint8Array(this.memory.buffer, this.addresses[i]!).set(
        new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength),
      );
    }
    const words = new DataView(this.memory.buffer, this.args);
    for (const [i, word] of [...this.addresses, workspace].entries()) words.setInt32(4 * i, word, true);
    for (const [i, value] of scalars.entries()) {
      const at = 4 * (buffers.length + 1 + i);
      if (program.scalarTypes[i] === 'f32') words.setFloat32(at, value, true);
      else words.setInt32(at, value | 0, true);
    }
  }

  check(): void {
    const bytes = new Uint8Array(this.memory.buffer);
    for (const [from, to] of this.#guards) {
      for (let i = from; i < to; i++)
        if (bytes[i] !== pattern) expect.fail(`byte ${i} outside every buffer was written`);
    }
  }

  contents(kernel: Pick<Kernel, 'buffers'>): BufferContents[] {
    return kernel.buffers.map(({ dtype, length }, i) => {
      const copy = bufferContents(dtype, length);
      const bytes = new Uint8Array(this.memory.buffer, this.addresses[i], length * dtypeInfo[dtype].bytes);
      new Uint8Array(copy.buffer).set(bytes);
      return copy;
    });
  }
}

/** All buffers after the program has run in `pieces` ranges, which are run in reverse order. */
export function runKernel(
  kernel: Kernel,
  program: WasmProgram,
  buffers: readonly BufferContents[],
  scalars: readonly number[] = [],
  pieces = 1,
): BufferContents[] {
  const layout = new Layout(program, buffers, scalars);
  const functions = instantiate(program, layout.memory);
  for (const [i, { units }] of program.stages.entries()) {
    const cuts = Array.from({ length: pieces + 1 }, (_, k) => Math.round((units * k) / pieces));
    for (let k = pieces - 1; k >= 0; k--) {
      if (cuts[k]! < cuts[k + 1]!) functions[i]!(cuts[k]!, cuts[k + 1]!, layout.args, layout.scratch);
    }
  }
  layout.check();
  return layout.contents(kernel);
}

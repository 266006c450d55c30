import { InternalError } from '@tutti/core/backend';
import { ByteWriter } from './bytes.ts';
import { FunctionBuilder, type Signature, valueTypeCodes } from './function.ts';

export interface MemoryLimits {
  /** The memory is a SharedArrayBuffer. Import and memory must agree on this. */
  readonly shared: boolean;
  /** Pages of 64 KiB. The declared maximum of a shared memory: at least that of the memory passed in. */
  readonly maximum?: number;
}

interface Entry {
  readonly name: string;
  readonly type: number;
  body: readonly number[] | undefined;
}

/** Pages of a memory of 4 GiB, all that 32-bit addresses reach. */
export const maximumPages = 65536;

/** Writes one WebAssembly module. Its memory is imported as `env.memory`; nothing else is. */
export class ModuleBuilder {
  readonly #limits: MemoryLimits;
  readonly #types: string[] = [];
  readonly #signatures: Signature[] = [];
  readonly #functions: Entry[] = [];
  readonly #helpers = new Map<string, number>();
  readonly #exports = new Map<string, number>();

  constructor(memory: MemoryLimits) {
    this.#limits = memory;
  }

  /** Adds a function and returns its index. It may be called (also by itself) while `emit` runs. */
  function(name: string, signature: Signature, emit: (fn: FunctionBuilder) => void): number {
    const entry: Entry = { name, type: this.#typeOf(signature), body: undefined };
    const index = this.#functions.push(entry) - 1;
    const fn = new FunctionBuilder(signature);
    emit(fn);
    entry.body = fn.finish();
    return index;
  }

  /** A function that many others share: added the first time its key is asked for. Returns its index. */
  helper(key: string, signature: Signature, emit: (fn: FunctionBuilder) => void): number {
    const known = this.#helpers.get(key);
    if (known !== undefined) return known;
    // The index is taken before `emit` runs, so that a helper which asks for itself finds it.
    this.#helpers.set(key, this.#functions.length);
    return this.function(key, signature, emit);
  }

  export(name: string, index: number): void {
    if (this.#exports.has(name)) throw new InternalError(`the module exports ${name} twice`);
    this.#exports.set(name, index);
  }

  /** The bytes of the module. */
  build(): Uint8Array<ArrayBuffer> {
    const module = new ByteWriter();
    module.append([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    module.section(1, this.#typeSection());
    module.section(2, this.#importSection());
    module.section(
      3,
      list(this.#functions, (out, entry) => out.u32(entry.type)),
    );
    module.section(
      7,
      list([...this.#exports], (out, [name, index]) => {
        out.name(name);
        out.byte(0);
        out.u32(index);
      }),
    );
    module.section(
      10,
      list(this.#functions, (out, { name, body }) => {
        if (!body) throw new InternalError(`the function ${name} has no body yet`);
        out.u32(body.length);
        out.append(body);
      }),
    );
    module.section(0, this.#nameSection());
    return Uint8Array.from(module.bytes);
  }

  #typeOf(signature: Signature): number {
    const key = `${signature.params.join(' ')} -> ${signature.results.join(' ')}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    this.#signatures.push(signature);
    return this.#types.push(key) - 1;
  }

  #typeSection(): ByteWriter {
    return list(this.#signatures, (out, { params, results }) => {
      out.byte(0x60);
      for (const types of [params, results]) {
        out.u32(types.length);
        for (const type of types) out.byte(valueTypeCodes[type]);
      }
    });
  }

  #importSection(): ByteWriter {
    const out = new ByteWriter();
    out.u32(1);
    out.name('env');
    out.name('memory');
    out.byte(2);
    if (this.#limits.shared) {
      out.byte(3); // shared, with a maximum: the specification asks for one
      out.u32(0);
      out.u32(this.#limits.maximum ?? maximumPages);
    } else {
      out.byte(0);
      out.u32(0);
    }
    return out;
  }

  /** Names for stack traces and profiles: that is how a trap can say which kernel it was in. */
  #nameSection(): ByteWriter {
    const names = new ByteWriter();
    names.u32(this.#functions.length);
    for (const [index, { name }] of this.#functions.entries()) {
      names.u32(index);
      names.name(name);
    }
    const out = new ByteWriter();
    out.name('name');
    out.section(1, names);
    return out;
  }
}

function list<T>(items: readonly T[], write: (out: ByteWriter, item: T) => void): ByteWriter {
  const out = new ByteWriter();
  out.u32(items.length);
  for (const item of items) write(out, item);
  return out;
}

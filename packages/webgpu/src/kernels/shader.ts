/** One WGSL module: what its main function refers to is declared as it is referred to. */
import { type BufferParam, dtypeInfo, type ScalarType } from '@tutti/core/backend';
import type { ShaderFeatures, StageBinding, WgslStage } from '../program.ts';
import { calledFunctions } from './functions/index.ts';
import { lanesOf, loadFunction, storeFunction, wordType } from './memory.ts';

/** What a kernel or an anchor gives a shader to refer to. */
export interface ShaderParameters {
  readonly buffers: readonly BufferParam[];
  readonly scalars: readonly ScalarType[];
}

/** The form of a module around its main function. */
export interface StageShape {
  /** Invocations of a workgroup. */
  readonly size: number;
  readonly workgroups: readonly [number, number, number];
}

/** How a shader sees memory. */
export interface ShaderMemory {
  /** Buffers that are stored to. */
  readonly stored: ReadonlySet<number>;
  /** Buffers whose words several invocations may store to. */
  readonly atomic: ReadonlySet<number>;
  /** Buffers of vectors of four words. What the last one has behind the end is undefined, and may be overwritten. */
  readonly vectors?: ReadonlySet<number>;
  /** The program's scratch memory, as `workspace`. */
  readonly workspace?: {
    readonly type: string;
    readonly length: number;
    readonly access: 'read' | 'readWrite';
  };
}

const accessModes = { read: 'read', readWrite: 'read_write' } as const;

export class Shader {
  readonly parameters: ShaderParameters;
  readonly #features: ShaderFeatures;
  readonly #memory: ShaderMemory;
  readonly #used = new Set<number>();
  readonly #helpers = new Map<string, string>();
  readonly #shared: string[] = [];
  #usesScalars = false;

  constructor(parameters: ShaderParameters, features: ShaderFeatures, memory: ShaderMemory) {
    this.parameters = parameters;
    this.#features = features;
    this.#memory = memory;
  }

  /** True where an element may differ from one moment to the next. */
  isMutable(buffer: number): boolean {
    return this.#memory.stored.has(buffer);
  }

  isAtomic(buffer: number): boolean {
    return this.#memory.atomic.has(buffer);
  }

  isVector(buffer: number): boolean {
    return this.#memory.vectors?.has(buffer) ?? false;
  }

  /** The name of a buffer, which is an array of words or of vectors of words. */
  buffer(buffer: number): string {
    this.#used.add(buffer);
    return `b${buffer}`;
  }

  /** An element of a buffer as a value. `index` is an i32. */
  load(buffer: number, index: string): string {
    const { dtype } = this.parameters.buffers[buffer]!;
    const name = this.buffer(buffer);
    if (lanesOf(dtype) === 1) return `${name}[${index}]`;
    this.#helpers.set(`load_${name}`, loadFunction(name, dtype, this.isAtomic(buffer)));
    return `load_${name}(${index})`;
  }

  /** A statement that stores an element's bits in a buffer of atomics. */
  storeAtomic(buffer: number, index: string, bits: string): string {
    const { dtype } = this.parameters.buffers[buffer]!;
    const name = this.buffer(buffer);
    this.#helpers.set(`store_${name}`, storeFunction(name, dtype));
    return `store_${name}(${index}, ${bits});`;
  }

  scalar(type: ScalarType, param: number): string {
    this.#usesScalars = true;
    const word = `scalars[${param >> 2}].${'xyzw'[param & 3]}`;
    if (type === 'u32') return word;
    return type === 'bool' ? `(${word} != 0u)` : `bitcast<${type}>(${word})`;
  }

  /** Declares workgroup memory. */
  shared(type: string, length: number): string {
    const name = `shared${this.#shared.length}`;
    this.#shared.push(`var<workgroup> ${name}: array<${type}, ${length}>;`);
    return name;
  }

  #bufferDeclaration(buffer: number, binding: number): string {
    const { dtype, length } = this.parameters.buffers[buffer]!;
    const word = this.isAtomic(buffer) ? 'atomic<u32>' : wordType(dtype);
    const vector = this.isVector(buffer);
    const access = this.isMutable(buffer) ? 'read_write' : 'read';
    // A constant length makes the bounds checks of implementations cheap.
    const count = Math.ceil((length * dtypeInfo[dtype].bytes) / (vector ? 16 : 4));
    const comment = lanesOf(dtype) > 1 ? ` // ${dtype}` : '';
    const type = vector ? `vec4<${word}>` : word;
    return `@group(0) @binding(${binding}) var<storage, ${access}> b${buffer}: array<${type}, ${count}>;${comment}`;
  }

  /** The stage whose main function has this body. */
  stage(main: string, { size, workgroups }: StageShape): WgslStage {
    const helpers = [...this.#helpers.values()];
    const functions = calledFunctions([...helpers, main].join('\n'), this.#features);
    const body = [...functions, ...helpers].join('\n\n');
    const infinite = `${body}${main}`.includes('infinity_bits');
    const buffers = [...this.#used].sort((a, b) => a - b);
    const declarations = buffers.map((buffer, binding) => this.#bufferDeclaration(buffer, binding));
    const bindings = buffers.map(
      (index): StageBinding => ({
        source: { kind: 'buffer', index },
        access: this.isMutable(index) ? 'readWrite' : 'read',
      }),
    );
    const { workspace } = this.#memory;
    if (workspace) {
      const { type, length, access } = workspace;
      declarations.push(
        `@group(0) @binding(${bindings.length}) var<storage, ${accessModes[access]}> workspace: array<${type}, ${length}>;`,
      );
      bindings.push({ source: { kind: 'workspace' }, access });
    }
    if (this.#usesScalars) {
      const vectors = Math.ceil(this.parameters.scalars.length / 4);
      declarations.push(
        `@group(0) @binding(${bindings.length}) var<uniform> scalars: array<vec4<u32>, ${vectors}>;`,
      );
      bindings.push({ source: { kind: 'scalars' }, access: 'uniform' });
    }
    const inputs = [
      '@builtin(workgroup_id) group: vec3<u32>',
      '@builtin(local_invocation_index) lane: u32',
      ...(main.includes('subgroup_lane') ? ['@builtin(subgroup_invocation_id) subgroup_lane: u32'] : []),
      ...(infinite ? ['@builtin(num_workgroups) grid: vec3<u32>'] : []),
    ].join(', ');
    const code = [
      ...(/\b(quad|subgroup)[A-Z_]/.test(main) ? ['enable subgroups;'] : []),
      ...declarations,
      // The count of workgroups is less than 2^31, which no compiler knows.
      ...(infinite ? ['var<private> infinity_bits: u32;'] : []),
      ...this.#shared,
      ...(body ? ['', body] : []),
      '',
      `@compute @workgroup_size(${size})`,
      `fn main(${inputs}) {`,
      ...(infinite ? ['  infinity_bits = 0x7f800000u | (grid.x >> 31u);'] : []),
      main,
      '}',
      '',
    ].join('\n');
    return { code, bindings, workgroups };
  }
}

/** What this machine's WebAssembly engine can do. Found out once, on first use: importing this costs nothing. */
import { ModuleBuilder, type ValueType } from '../wasm/index.ts';
import { environment, isNode, nodeModule } from './host.ts';

const accepts = (results: ValueType[], emit: Parameters<ModuleBuilder['function']>[2]): boolean => {
  const module = new ModuleBuilder({ shared: false });
  module.function('probe', { params: [], results }, emit);
  return WebAssembly.validate(module.build());
};

const acceptsSimd = (): boolean => accepts(['v128'], (fn) => fn.i32(1).op('i32x4.splat'));

const acceptsRelaxedMadd = (): boolean =>
  accepts(['v128'], (fn) => fn.f32x4(1).f32x4(2).f32x4(3).op('f32x4.relaxed_madd'));

function detectRelaxedMadd(): boolean {
  // For tests: generate what an engine without relaxed SIMD gets.
  if (environment('TUTTI_RELAXED') === '0') return false;
  if (acceptsRelaxedMadd()) return true;
  // Node 20 has it behind a flag that may still be set at run time, for this thread and for workers started later.
  const v8 = nodeModule<typeof import('node:v8')>('node:v8');
  v8?.setFlagsFromString('--experimental-wasm-relaxed-simd');
  return v8 !== undefined && acceptsRelaxedMadd();
}

function detectThreads(): boolean {
  if (typeof SharedArrayBuffer === 'undefined' || typeof Atomics === 'undefined') return false;
  if (isNode) return nodeModule('node:worker_threads') !== undefined;
  const scope = globalThis as { Worker?: unknown; crossOriginIsolated?: boolean };
  return scope.Worker !== undefined && scope.crossOriginIsolated === true;
}

class Features {
  #simd: boolean | undefined;
  #relaxedMadd: boolean | undefined;
  #threads: boolean | undefined;

  /** 128-bit vectors. Without them this backend does not run. */
  get simd(): boolean {
    this.#simd ??= acceptsSimd();
    return this.#simd;
  }

  /** `f32x4.relaxed_madd` may be used. On a machine with FMA it rounds once; elsewhere it may round twice. */
  get relaxedMadd(): boolean {
    this.#relaxedMadd ??= detectRelaxedMadd();
    return this.#relaxedMadd;
  }

  set relaxedMadd(value: boolean) {
    this.#relaxedMadd = value;
  }

  /** Worker threads can share one memory. In a browser: the page is cross-origin isolated. */
  get threads(): boolean {
    this.#threads ??= detectThreads();
    return this.#threads;
  }

  set threads(value: boolean) {
    this.#threads = value;
  }
}

export const features: Features = new Features();

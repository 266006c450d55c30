/** What this machine and this Node offer to the CPU backend. */
import { availableParallelism, cpus } from 'node:os';

export interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly processor: string;
  /** Hardware threads that this process may use. */
  readonly threads: number;
  readonly webAssembly: {
    readonly simd: boolean;
    /** Fused multiply-add in vectors. In Node 20 it is there once a backend has asked for it. */
    readonly relaxedSimd: boolean;
    /** Memory that threads can share. */
    readonly sharedMemory: boolean;
  };
}

export function machine(): Machine {
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown processor',
    threads: availableParallelism(),
    webAssembly: {
      simd: validates([...splat, 0x0b]),
      relaxedSimd: validates([...splat, ...splat, ...splat, 0xfd, 0x85, 0x02, 0x0b]), // f32x4.relaxed_madd
      sharedMemory: typeof SharedArrayBuffer !== 'undefined',
    },
  };
}

/** `i32.const 1`, `i8x16.splat` */
const splat = [0x41, 0x01, 0xfd, 0x0f];

/** Whether this engine accepts a function without parameters that gives a vector. */
function validates(body: readonly number[]): boolean {
  const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  const type = [0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b];
  const declaration = [0x03, 0x02, 0x01, 0x00];
  const code = [0x0a, body.length + 3, 0x01, body.length + 1, 0x00, ...body];
  return WebAssembly.validate(new Uint8Array([...header, ...type, ...declaration, ...code]));
}

/**
 * The seam between what generates WGSL (kernels/, routines/) and what runs it (runtime/).
 *
 * A program is a list of stages, each one compute pipeline and one dispatch. Stages run in order; what one stores, the
 * next sees. Buffers hold elements as the host lays them out: float16 and bfloat16 two to a 32-bit word, uint8 and bool
 * four, so the generated code packs and unpacks, and no two invocations may write to the same word without an atomic.
 */
import type { BufferParam, Program, ScalarType } from '@tutti/core/backend';

/** What a binding of a stage is bound to: a buffer of the command, the program's workspace, or its scalars. */
export interface StageBinding {
  readonly source:
    | { readonly kind: 'buffer'; readonly index: number }
    | { readonly kind: 'workspace' }
    | { readonly kind: 'scalars' };
  /** `scalars` is a uniform of `array<vec4<u32>, n>`: 4 bytes a scalar in order, as raw bits; the others are storage. */
  readonly access: 'read' | 'readWrite' | 'uniform';
}

export interface WgslStage {
  /** A whole WGSL module with the entry point `main`. Binding i of group 0 is `bindings[i]`. */
  readonly code: string;
  readonly bindings: readonly StageBinding[];
  /** Each at most the device's `maxComputeWorkgroupsPerDimension`; larger grids are folded by the generator. */
  readonly workgroups: readonly [number, number, number];
}

export interface WgslProgram extends Program {
  readonly stages: readonly WgslStage[];
  readonly scalarTypes: readonly ScalarType[];
  /** Bytes of scratch memory that all stages share during one run; 0 for none. */
  readonly workspaceBytes: number;
}

/** What the adapter and device offer to generated code. */
export interface ShaderFeatures {
  /** `unpack2x16float` gives the value of every half, where WGSL would let it give zero for denormals. */
  readonly exactHalves: boolean;
  /** `subgroups` is enabled. */
  readonly subgroups: boolean;
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  readonly maxStorageBuffers: number;
  readonly maxInvocations: number;
  readonly maxWorkgroupBytes: number;
  readonly maxWorkgroups: number;
  /** Software stands in for the GPU: barriers and workgroup memory are dear there. */
  readonly software: boolean;
}

/** Programs for the same work, of which the fastest is found by timing them. */
export interface Candidates {
  /** The class of shapes that the choice is good for. */
  readonly key: string;
  readonly buffers: readonly BufferParam[];
  /** By name; the first is the one to take without knowing. */
  readonly variants: ReadonlyMap<string, WgslProgram>;
}

/** Programs written by hand, for what runs programs. */
import type { StageBinding, WgslProgram, WgslStage } from '../../src/program.ts';

const bind = (index: number, access: StageBinding['access']): StageBinding => ({
  source: { kind: 'buffer', index },
  access,
});
const scalars: StageBinding = { source: { kind: 'scalars' }, access: 'uniform' };
const workspace: StageBinding = { source: { kind: 'workspace' }, access: 'readWrite' };

export function program(
  name: string,
  stages: readonly WgslStage[],
  rest: Partial<WgslProgram> = {},
): WgslProgram {
  const source = (): string => stages.map(({ code }) => code).join('\n');
  return { name, stages, scalarTypes: [], workspaceBytes: 0, source, ...rest };
}

/** `b[i] = a[i] * 3 + scalar`, wrapping, after `turns` turns of nothing. */
export function affine(n: number, turns = 1): WgslProgram {
  const code = `
@group(0) @binding(0) var<storage, read> a: array<i32>;
@group(0) @binding(1) var<storage, read_write> b: array<i32>;
@group(0) @binding(2) var<uniform> s: array<vec4<u32>, 1>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= ${n}u) { return; }
  var x = a[id.x];
  for (var turn = 0; turn < ${turns}; turn++) { x = select(x, 0, turn < 0); }
  b[id.x] = x * 3 + bitcast<i32>(s[0].x);
}`;
  const stage: WgslStage = {
    code,
    bindings: [bind(0, 'read'), bind(1, 'readWrite'), scalars],
    workgroups: [Math.ceil(n / 64), 1, 1],
  };
  return program('affine', [stage], { scalarTypes: ['i32'] });
}

/** `a[i] += 1` */
export function increment(n: number, name = 'increment'): WgslProgram {
  const code = `
@group(0) @binding(0) var<storage, read_write> a: array<i32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < ${n}u) { a[id.x] += 1; }
}`;
  return program(name, [{ code, bindings: [bind(0, 'readWrite')], workgroups: [Math.ceil(n / 64), 1, 1] }]);
}

/** Two stages: the workspace takes `a` reversed, then `b[i] = workspace[i] + i`. */
export function reversed(n: number): WgslProgram {
  const first = `
@group(0) @binding(0) var<storage, read> a: array<i32>;
@group(0) @binding(1) var<storage, read_write> w: array<i32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < ${n}u) { w[id.x] = a[${n - 1}u - id.x]; }
}`;
  const second = `
@group(0) @binding(0) var<storage, read_write> w: array<i32>;
@group(0) @binding(1) var<storage, read_write> b: array<i32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < ${n}u) { b[id.x] = w[id.x] + i32(id.x); }
}`;
  const workgroups = [Math.ceil(n / 64), 1, 1] as const;
  return program(
    'reversed',
    [
      { code: first, bindings: [bind(0, 'read'), workspace], workgroups },
      { code: second, bindings: [workspace, bind(1, 'readWrite')], workgroups },
    ],
    { workspaceBytes: n * 4 },
  );
}

/** Stores its scalars, of all types, as raw bits. */
export const storeScalars: WgslProgram = program(
  'storeScalars',
  [
    {
      code: `
@group(0) @binding(0) var<uniform> s: array<vec4<u32>, 2>;
@group(0) @binding(1) var<storage, read_write> b: array<u32>;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32) { b[i] = s[i / 4][i % 4]; }`,
      bindings: [scalars, bind(0, 'readWrite')],
      workgroups: [1, 1, 1],
    },
  ],
  { scalarTypes: ['f32', 'i32', 'u32', 'bool', 'f32', 'f32', 'i32', 'bool'] },
);

/** Does not compile: line 3 names something that is not there. */
export const invalid: WgslProgram = program('invalid', [
  {
    code: `@group(0) @binding(0) var<storage, read_write> a: array<i32>;
@compute @workgroup_size(1)
fn main() { a[0] = missing; }`,
    bindings: [bind(0, 'readWrite')],
    workgroups: [1, 1, 1],
  },
]);

/** Compiles, and is refused when it is submitted: so many workgroups are more than a dimension has. */
export const tooLarge: WgslProgram = program('tooLarge', [
  { ...increment(1).stages[0]!, workgroups: [65536, 1, 1] },
]);

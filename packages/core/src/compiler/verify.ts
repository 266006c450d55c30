/** Checks that a kernel keeps what kernel.ts promises to backends. Run in tests and in debug mode. */
import {
  type Capabilities,
  dtypeInfo,
  type Expression,
  type IndexVariable,
  InternalError,
  isElementwise,
  type JointKernel,
  type Kernel,
  type Phase,
  printJoint,
  printKernel,
  visitExpressions,
} from '../backend/index.ts';
import { expressionsOf } from './merge-dimensions.ts';

const comparisons = new Set(['lt', 'le', 'eq', 'ne']);
const floatOnly = new Set([
  'floor',
  'ceil',
  'trunc',
  'round',
  'sqrt',
  'rsqrt',
  'exp',
  'log',
  'log1p',
  'expm1',
  'sin',
  'cos',
  'tanh',
  'erf',
  'div',
  'pow',
  'roundF16',
  'roundBF16',
]);

/** @throws InternalError naming the rule that is broken, with the kernel. */
export function verifyKernel(kernel: Kernel, capabilities: Capabilities): void {
  const fail = (rule: string): never => {
    throw new InternalError(`kernel ${kernel.name}: ${rule}\n${printKernel(kernel)}`);
  };
  if (kernel.phases.length === 0) fail('no phases');
  const beyond = checkCapabilities(kernel, capabilities);
  if (beyond) fail(beyond);
  const finished = new Set<number>();
  for (const phase of kernel.phases) {
    const scope = new Set<IndexVariable>([...kernel.space, ...phase.loops]);
    if (scope.size !== kernel.space.length + phase.loops.length) fail('an index variable is declared twice');
    for (const variable of scope)
      if (!(variable.extent >= 1)) fail(`extent ${variable.extent} of ${variable.name}`);
    const interned = new Map<string, Expression>();
    visitExpressions(expressionsOf(phase), (e) => {
      const rule = checkExpression(e, kernel, scope, finished) ?? checkInterned(e, interned);
      if (rule) fail(rule);
    });
    const rule = checkPhase(phase, kernel, finished);
    if (rule) fail(rule);
  }
}

/**
 * @param places What the buffers of all parts are bound to: equal where it is the same memory.
 * @throws InternalError naming the rule that is broken, with the kernel.
 */
export function verifyJoint(joint: JointKernel, places: readonly string[], capabilities: Capabilities): void {
  const { body, parts, name } = joint;
  verifyKernel(body, capabilities);
  const fail = (rule: string): never => {
    throw new InternalError(`joint kernel ${name}: ${rule}\n${printJoint(joint)}`);
  };
  if (places.length > capabilities.jointBuffers)
    fail(`${places.length} buffers, more than ${capabilities.jointBuffers}`);
  if (places.length !== parts.length * body.buffers.length) fail(`${places.length} buffers`);
  const points = body.space.reduce((n, { extent }) => n * extent, 1);
  for (const part of parts) {
    const fits = isElementwise(body) ? part.points >= 1 && part.points <= points : part.points === points;
    if (!fits) fail(`a part of ${part.points} points`);
    const moved = body.buffers.find(({ access }, i) => access !== 'read' && part.origins[i] !== 0);
    if (moved) fail('a buffer that is written does not begin at its beginning');
  }
  for (const [i, place] of places.entries()) {
    if (body.buffers[i % body.buffers.length]!.access === 'read') continue;
    if (places.indexOf(place) !== i || places.lastIndexOf(place) !== i)
      fail(`${place} is written and bound twice`);
  }
}

function checkCapabilities({ buffers, phases }: Kernel, device: Capabilities): string | undefined {
  const maps = phases.filter((phase) => phase.kind === 'map');
  if (buffers.length > device.buffersPerKernel)
    return `${buffers.length} buffers, more than ${device.buffersPerKernel}`;
  if (!device.multipleOutputs && maps.some((phase) => phase.stores.length > 1))
    return 'several stores in a map';
  const simple = phases.length - maps.length <= 1 && maps.length === 1 && maps[0]!.loops.length === 0;
  if (!device.rowPrograms && !simple) return 'several phases, or loops in a map';
  if (!device.scatterStores && maps.some((phase) => phase.order === 'sequential'))
    return 'stores to computed indices';
  return undefined;
}

/** Equal leaves must be one object; equality of larger expressions follows from how they are made. */
function checkInterned(e: Expression, interned: Map<string, Expression>): string | undefined {
  if (e.op !== 'const' && e.op !== 'scalar') return undefined;
  const key = e.op === 'const' ? `${e.type}${Object.is(e.value, -0) ? '-0' : e.value}` : `$${e.param}`;
  const known = interned.get(key) ?? e;
  interned.set(key, known);
  return known === e ? undefined : 'equal expressions are different objects';
}

function checkExpression(
  e: Expression,
  kernel: Kernel,
  scope: ReadonlySet<IndexVariable>,
  finished: ReadonlySet<number>,
): string | undefined {
  switch (e.op) {
    case 'index':
      return scope.has(e.variable) ? undefined : `index variable ${e.variable.name} is not in scope`;
    case 'scalar':
      return kernel.scalars[e.param] === e.type ? undefined : `scalar ${e.param} of type ${e.type}`;
    case 'accumulator':
      return finished.has(e.id) ? undefined : `accumulator ${e.id} is used before its phase has ended`;
    case 'load': {
      const buffer = kernel.buffers[e.buffer];
      if (!buffer) return `load from buffer ${e.buffer}`;
      if (buffer.access === 'write') return `load from write-only buffer ${e.buffer}`;
      if (dtypeInfo[buffer.dtype].scalar !== e.type) return `load of ${buffer.dtype} as ${e.type}`;
      if (e.index.type !== 'i32') return `index of type ${e.index.type}`;
      return e.guard && e.guard.type !== 'bool' ? `guard of type ${e.guard.type}` : undefined;
    }
    case 'alu':
      return checkAlu(e);
    default:
      return undefined;
  }
}

function checkAlu(e: Extract<Expression, { op: 'alu' }>): string | undefined {
  const types = e.args.map((arg) => arg.type);
  const [a, b, c] = types;
  const described = `${e.alu}(${types.join(', ')}) -> ${e.type}`;
  if (e.alu === 'cast' || e.alu === 'bitcast')
    return a === e.type ? `${described} changes nothing` : undefined;
  if (e.alu === 'where') return a === 'bool' && b === c && b === e.type ? undefined : described;
  if (floatOnly.has(e.alu) && a !== 'f32') return described;
  if (b !== undefined && a !== b) return described;
  return (comparisons.has(e.alu) ? 'bool' : a) === e.type ? undefined : described;
}

function checkPhase(phase: Phase, kernel: Kernel, finished: Set<number>): string | undefined {
  if (phase.kind === 'reduce') {
    for (const a of phase.accumulators) {
      if (finished.has(a.id)) return `accumulator ${a.id} is declared twice`;
      if (a.value.type !== a.type) return `accumulator ${a.id} of type ${a.type} takes ${a.value.type}`;
      if ((a.op === 'argMax' || a.op === 'argMin') !== (a.position !== undefined))
        return `accumulator ${a.id}: position`;
      finished.add(a.id);
    }
    return phase.accumulators.length === 0 ? 'a reduce phase without accumulators' : undefined;
  }
  for (const store of phase.stores) {
    const buffer = kernel.buffers[store.buffer];
    if (!buffer || buffer.access === 'read') return `store to buffer ${store.buffer}`;
    if (dtypeInfo[buffer.dtype].scalar !== store.value.type)
      return `store of ${store.value.type} to ${buffer.dtype}`;
    if (store.mode !== 'set' && phase.order !== 'sequential') return `mode ${store.mode} in a parallel map`;
  }
  return phase.stores.length === 0 ? 'a map phase without stores' : undefined;
}

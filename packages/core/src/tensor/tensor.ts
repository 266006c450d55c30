import {
  ArgumentError,
  DeviceError,
  DisposedError,
  type DType,
  DTypeError,
  ShapeError,
} from '../backend/index.ts';
import { context } from './context.ts';
import { describe, isPromise } from './describe.ts';
import type { Device } from './device.ts';
import { GraphNode } from './node.ts';
import { checkOptions, type OptionNames } from './options.ts';
import { formatShape, type Shape, sameShape, sizeOf } from './shape.ts';

/** Lets go of the node of a tensor that was garbage collected without `dispose()`. */
const collected = new FinalizationRegistry<GraphNode>((node) => node.release());

/**
 * A handle of a value on a device: shape, dtype, device, and a node of the lazy graph. It never changes. Operations
 * make new tensors and never consume their operands; nothing runs until a value is read or `realize` is called.
 *
 * Memory is given back on `dispose()` (or at the end of a `using` declaration or a `scope`), at the latest when the
 * handle is garbage collected. Values that other tensors or a later gradient still need live on.
 */
export class Tensor {
  #node: GraphNode | undefined;
  #grad: Tensor | undefined;
  /** What a disposed tensor is called in messages. */
  #formerShape: Shape | undefined;

  /** @internal Tensors are made by operations and by `tensor(...)`. */
  constructor(node: GraphNode) {
    this.#node = node;
    node.retain();
    if (!context.transient || new.target !== Tensor) collected.register(this, node, this);
    context.scope?.add(this);
  }

  /** The node of the lazy graph. @throws DisposedError */
  get node(): GraphNode {
    return this.#node ?? this.refuseDisposed();
  }

  /** Says that a disposed tensor was used, by which operation, and as which of its arguments. @throws DisposedError @internal */
  refuseDisposed(op?: string, argument?: string): never {
    const it = `a tensor of shape ${formatShape(this.#formerShape ?? [])}`;
    const which = argument ? `${argument}, ${it},` : it;
    throw new DisposedError(`${op ? `${op}: ` : ''}${which} has been disposed`, {
      op,
      received: this.#formerShape,
      fix: 'dispose it after its last use, or return it from the scope(...) or the jitted function that made it',
    });
  }

  get shape(): Shape {
    return this.node.shape;
  }

  get dtype(): DType {
    return this.node.dtype;
  }

  get device(): Device {
    return this.node.device;
  }

  /** Number of axes. */
  get rank(): number {
    return this.node.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.node.shape);
  }

  get disposed(): boolean {
    return this.#node === undefined;
  }

  /** True for a leaf that `backward()` gives a `grad`, and for what is computed from one. */
  get requiresGrad(): boolean {
    return this.node.tracked;
  }

  /** The sum of the gradients that `backward()` brought since it was last cleared. */
  get grad(): Tensor | undefined {
    return this.#grad;
  }

  set grad(value: Tensor | undefined) {
    context.trace?.setGrad(this, value);
    if (value) context.scope?.delete(value); // it outlives the scope in which backward() ran
    this.#grad = value;
  }

  /** Gives this handle up. Calling it twice is harmless. */
  dispose(): void {
    const node = this.#node;
    if (!node) return;
    this.#node = undefined;
    this.#formerShape = node.shape;
    collected.unregister(this);
    context.scope?.delete(this);
    node.release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A tensor is not a number: `x + 1` and `if (x > 0)` would silently mean something else. @throws ArgumentError */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === 'string') return this.toString();
    throw new ArgumentError('a tensor is used as a number', {
      received: this.toString(),
      fix: 'compute with x.add(1) or x.gt(0), and read a value with `await x.item()`',
    });
  }

  toString(): string {
    if (this.disposed) return 'Tensor(disposed)';
    return `Tensor(${formatShape(this.shape)}, ${this.dtype}, ${this.device})`;
  }

  /** @internal Points the handle at another node. Only variables do this. */
  protected replaceNode(node: GraphNode): void {
    const old = this.node;
    node.retain();
    collected.unregister(this);
    collected.register(this, node, this);
    this.#node = node;
    old.release();
  }
}

/** @throws ArgumentError unless `value` is a tensor; DisposedError when it is one no more. */
export function requireTensor(op: string, value: unknown, name = 'the operand'): Tensor {
  if (value instanceof Tensor) return value.disposed ? value.refuseDisposed(op) : value;
  throw new ArgumentError(`${op}: ${name} must be a tensor, received ${describe(value)}`, {
    op,
    received: value,
    fix: isPromise(value) ? 'await it first' : 'make one with tensor(value)',
  });
}

export interface VariableOptions {
  /** Whether `backward()` brings it a gradient. Default true for floats. */
  readonly requiresGrad?: boolean;
  /** For messages and state dicts. */
  readonly name?: string;
}

const variableOptions: OptionNames<VariableOptions> = { requiresGrad: true, name: true };

/**
 * A tensor whose value can be replaced with `assign`: a parameter, a running statistic, the state of an optimiser. Inside
 * `jit` an assignment is an effect of the plan, and the new value goes to the old one's memory where that is legal.
 */
export class Variable extends Tensor {
  name: string;
  readonly #requiresGrad: boolean;

  constructor(value: Tensor, options: VariableOptions = {}) {
    requireTensor('variable', value, 'the initial value');
    checkOptions('variable', options, variableOptions);
    const requiresGrad = options.requiresGrad ?? value.dtype === 'float32';
    if (requiresGrad && value.dtype !== 'float32') {
      throw new DTypeError(`variable: a gradient needs dtype float32, not ${value.dtype}`, {
        op: 'variable',
        received: value.dtype,
        fix: 'pass { requiresGrad: false }, or keep the parameter in float32 and cast where it is used',
      });
    }
    super(leafOf(value.node, requiresGrad));
    context.scope?.delete(this); // state outlives the scope that made it
    this.#requiresGrad = requiresGrad;
    this.name = options.name ?? '';
    super.node.leaf = new WeakRef(this);
  }

  override get node(): GraphNode {
    const node = super.node;
    return context.trace ? context.trace.read(this) : node;
  }

  /** The node that holds the value outside of any trace. @internal */
  get stored(): GraphNode {
    return super.node;
  }

  override get requiresGrad(): boolean {
    return this.#requiresGrad;
  }

  /**
   * Replaces the value. Shape, dtype and device stay.
   *
   * @throws ShapeError, DTypeError, DeviceError when `value` differs in one of them.
   */
  assign(value: Tensor): void {
    const where = this.name ? `assign to ${this.name}` : 'assign';
    const from = requireTensor('assign', value, `the new value${this.name && ` of ${this.name}`}`).node;
    const { shape, dtype, device } = super.node;
    if (!sameShape(from.shape, shape)) {
      throw new ShapeError(
        `${where}: shape ${formatShape(from.shape)} for a variable of shape ${formatShape(shape)}`,
        {
          op: 'assign',
          received: from.shape,
          fix: 'a variable keeps its shape; reshape or broadcast the value first',
        },
      );
    }
    if (from.dtype !== dtype) {
      throw new DTypeError(`${where}: dtype ${from.dtype} for a variable of dtype ${dtype}`, {
        op: 'assign',
        received: from.dtype,
        fix: `cast the value: value.cast('${dtype}')`,
      });
    }
    if (!from.device.same(device)) {
      throw new DeviceError(`${where}: value on ${from.device} for a variable on ${device}`, {
        op: 'assign',
        received: from.device.id,
        fix: 'move the value with value.to(variable.device) first',
      });
    }
    if (context.trace) context.trace.assign(this, from);
    else this.store(leafOf(from, this.#requiresGrad));
  }

  /** Takes a node as the new value. @internal */
  store(node: GraphNode): void {
    this.replaceNode(node);
    node.leaf = new WeakRef(this);
    if (!node.computed) context.pending.add(this);
  }

  override dispose(): void {
    context.pending.delete(this);
    super.dispose();
  }
}

/** A leaf with the value of `node`: gradients stop here. */
function leafOf(node: GraphNode, requiresGrad: boolean): GraphNode {
  const flags = { tracked: requiresGrad, constant: !requiresGrad };
  if (node.host) {
    const leaf = new GraphNode('data', [], { shape: node.shape, dtype: node.dtype }, node.device, flags);
    leaf.host = node.host;
    return leaf;
  }
  return new GraphNode('detach', [node], {}, node.device, flags);
}

/** A variable that starts with the value of `value`, which stays the caller's. */
export function variable(value: Tensor, options?: VariableOptions): Variable {
  return new Variable(value, options);
}

/** What `console.log` prints in Node. */
Object.defineProperty(Tensor.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: Tensor): string {
    return this.toString();
  },
});

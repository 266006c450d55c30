import type { DeviceBuffer, DType, TuttiError } from '../backend/index.ts';
import { InternalError } from '../backend/index.ts';
import { type Primitive, type PrimitiveAttributes, primitives } from '../ops/primitives.ts';
import type { Device } from './device.ts';
import type { Shape } from './shape.ts';
import type { Tensor } from './tensor.ts';
import type { Verdict } from './verdict.ts';

/** Typed arrays that hold the elements of a tensor on the host. 16-bit floats travel as their bits. */
export type HostArray = Float32Array | Int32Array | Uint32Array | Uint8Array | Uint16Array;

interface HostArrayConstructor {
  new (length: number): HostArray;
  new (buffer: ArrayBuffer): HostArray;
}

export const hostArrays: Readonly<Record<DType, HostArrayConstructor>> = {
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

let nextId = 0;

/** The id that the next node will have: what is made from now on is at least as new. */
export const nextNodeId = (): number => nextId;

/**
 * A node of the lazy graph: one primitive applied to other nodes. Its value is either computed (it has storage), on the
 * host and not yet uploaded, or still to be computed from its inputs.
 *
 * Lifetime is by reference count: handles (tensors) and other nodes that have this one as an input. At zero the storage
 * goes back to the device and the inputs are let go in turn.
 */
export class GraphNode<P extends Primitive = Primitive> {
  readonly id: number = nextId++;
  readonly op: P;
  readonly attributes: PrimitiveAttributes[P];
  readonly shape: Shape;
  readonly dtype: DType;
  readonly device: Device;
  /** True where a gradient may be asked for: the inputs are then kept when the node has been computed. */
  readonly tracked: boolean;
  /** True where the node was made under `noGrad`: no gradient flows through it. */
  readonly constant: boolean;
  /** Set while a computed value of this node may be needed by a later backward pass; see the scheduler. */
  keep: boolean;
  storage: DeviceBuffer | undefined;
  /** Data of a leaf that has not been uploaded. */
  host: HostArray | undefined;
  /** The tensor that `backward()` gives the gradient of this node to. */
  leaf: WeakRef<Tensor> | undefined;
  /** A condition on data that makes this node's value an error; looked at when a result is read. */
  check: DataCheck | undefined;
  /** What is known about the data that the stored value was computed from. */
  verdict: Verdict | undefined;
  #inputs: readonly GraphNode[];
  #references = 0;
  #released = false;

  constructor(
    op: P,
    inputs: readonly GraphNode[],
    attributes: PrimitiveAttributes[P],
    device: Device,
    flags: NodeFlags,
  ) {
    const definition = primitives[op];
    if (definition.arity !== 'variadic' && inputs.length !== definition.arity) {
      throw new InternalError(`${op}: ${inputs.length} operands, ${definition.arity} expected`);
    }
    const { shape, dtype } = definition.infer(inputs, attributes);
    this.op = op;
    this.#inputs = inputs;
    this.attributes = attributes;
    this.shape = Object.freeze([...shape]); // a copy, so that neither its giver nor its reader can change it
    this.dtype = dtype;
    this.device = device;
    this.tracked = flags.tracked;
    this.constant = flags.constant;
    this.keep = flags.tracked;
    for (const input of inputs) input.retain();
  }

  get inputs(): readonly GraphNode[] {
    return this.#inputs;
  }

  /** True when the value exists, on the device or on the host. */
  get computed(): boolean {
    return this.storage !== undefined || this.host !== undefined;
  }

  get released(): boolean {
    return this.#released;
  }

  /** Number of handles and nodes that hold this one. */
  get references(): number {
    return this.#references;
  }

  retain(): void {
    this.#references++;
  }

  release(): void {
    // A work list, because a chain of nodes can be longer than the stack is deep.
    const pending: GraphNode[] = [this];
    for (let node = pending.pop(); node; node = pending.pop()) {
      if (--node.#references > 0 || node.#released) continue;
      node.#released = true;
      node.#freeStorage();
      pending.push(...node.#takeInputs());
    }
  }

  /** Makes the value an error where the data turns out to be bad. */
  setCheck(check: DataCheck): void {
    check.flag.retain();
    this.check?.flag.release();
    this.check = check;
  }

  /** Takes ownership of a buffer that holds the value. Without a gradient to come, the way it was computed is forgotten. */
  fulfil(storage: DeviceBuffer): void {
    this.storage = storage;
    this.host = undefined;
    if (this.#released) this.#freeStorage();
    else if (!this.tracked || this.op === 'detach') this.#dropInputs();
  }

  #freeStorage(): void {
    if (this.storage) this.device.free(this.storage);
    this.storage = undefined;
    this.host = undefined;
  }

  #dropInputs(): void {
    for (const input of this.#takeInputs()) input.release();
  }

  #takeInputs(): GraphNode[] {
    const inputs = [...this.#inputs];
    this.#inputs = [];
    if (this.check) inputs.push(this.check.flag);
    this.check = undefined;
    return inputs;
  }
}

/**
 * A condition on the *contents* of tensors (an index in range), which cannot be known when the graph is built. The flag is
 * computed along with the node, and a read that follows throws the error when it is not 0.
 */
export interface DataCheck {
  /** uint32, shape []: not 0 when the data is bad. What else it says is between it and `error`. */
  readonly flag: GraphNode;
  readonly error: (flag: number) => TuttiError;
}

export interface NodeFlags {
  readonly tracked: boolean;
  readonly constant: boolean;
}

import { ArgumentError, flatten, scope, type Tensor } from '@tutti/core';
import { describe, isPromise } from '@tutti/core/graph';
import { type AnyModule, Module } from '../module.ts';

/** A module that maps one tensor to one tensor. */
export type Layer = Module<[x: Tensor], Tensor>;

/**
 * One layer after the other. In a state dict the layers are named by their position (`0.weight`), or by their names if they
 * come in a record.
 *
 * @example new Sequential(new Linear(784, 32), new ReLU(), new Linear(32, 10))
 * @example new Sequential({ hidden: new Linear(784, 32), act: new ReLU(), out: new Linear(32, 10) })
 */
export class Sequential extends Module {
  readonly layers: readonly Layer[] | Readonly<Record<string, Layer>>;

  constructor(layers: Readonly<Record<string, Layer>>);
  constructor(...layers: readonly Layer[]);
  constructor(...layers: readonly (Layer | Readonly<Record<string, Layer>>)[]) {
    super();
    const [first] = layers;
    this.layers = layers.length === 1 && isRecord(first) ? first : (layers as readonly Layer[]);
    for (const [name, layer] of Object.entries(this.layers)) requireLayer(name, layer);
  }

  protected override stateName(field: string): string {
    return field === 'layers' ? '' : field;
  }

  override forward(x: Tensor): Tensor {
    return scope(() =>
      Object.values(this.layers).reduce((value: Tensor, layer: Layer) => layer.call(value), x),
    );
  }
}

const isModule = (value: unknown): value is AnyModule => value instanceof Module;

const isRecord = (value: unknown): value is Readonly<Record<string, Layer>> =>
  typeof value === 'object' && value !== null && !isPromise(value) && !isModule(value);

/** A function would be called as one that is a method: with the input as its `this`. @throws ArgumentError */
function requireLayer(name: string, layer: unknown): void {
  if (typeof layer === 'object' && typeof (layer as Partial<Layer> | null)?.call === 'function') return;
  throw new ArgumentError(`Sequential: layer ${name} is ${describe(layer)}, not a module`, {
    op: 'Sequential',
    received: layer,
    fix: 'pass modules, for example new ReLU() for relu; for other functions write a Module with a forward()',
  });
}

/** `y = x`. */
export class Identity extends Module {
  override forward(x: Tensor): Tensor {
    return x;
  }
}

/** Makes one axis of the axes from `start` to `end`. Default: all but the first, (N, ...) -> (N, size). */
export class Flatten extends Module {
  readonly #start: number;
  readonly #end: number;

  constructor(start = 1, end = -1) {
    super();
    this.#start = start;
    this.#end = end;
  }

  override forward(x: Tensor): Tensor {
    return flatten(x, this.#start, this.#end);
  }
}

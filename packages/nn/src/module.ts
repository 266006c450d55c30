import { ArgumentError, type Device, detach, noGrad, scope, type Tensor, Variable } from '@tutti/core';
import { checkOptions, context, describe, isPromise, type OptionNames } from '@tutti/core/graph';
import { assignFrom, mismatch, stateDictError } from './load.ts';
import { buffer, type Found, walk } from './tree.ts';

/** A module of any inputs and output. */
export type AnyModule = Module<never, unknown>;

/** Tensors by name, as they are saved and loaded. */
export type StateDict = Record<string, Tensor>;

let nameOf: (module: AnyModule, field: string) => string;

export interface LoadOptions {
  /** Whether missing and unexpected names are errors. Default true. */
  readonly strict?: boolean;
}

const loadOptions: OptionNames<LoadOptions> = { strict: true };

/** The names that a load that is not strict passed over. */
export interface LoadReport {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
}

/**
 * Base of everything with parameters. A subclass puts variables and other modules into fields and implements `forward`.
 *
 * Variables are found in fields, in arrays and in records, at any depth; their names are the path of fields, joined with
 * dots: `conv1.weight`, `blocks.0.norm.bias`. A variable marked with `buffer(...)` is saved but not trained. `#private`
 * fields are not looked into.
 *
 * @example
 * class Net extends Module {
 *   hidden = new Linear(784, 32);
 *   out = new Linear(32, 10);
 *   forward(x: Tensor): Tensor {
 *     return this.out.call(relu(this.hidden.call(x)));
 *   }
 * }
 */
export abstract class Module<Inputs extends readonly unknown[] = [x: Tensor], Output = Tensor> {
  /** Whether layers behave as in training: dropout drops, batch norm takes the statistics of the batch. */
  training = true;

  /** The computation. Use `call` to run a module: a subclass may add to it. */
  abstract forward(...inputs: Inputs): Output;

  /** @throws ArgumentError when the class has no `forward`. */
  call(...inputs: Inputs): Output {
    if (typeof this.forward !== 'function') throw withoutForward(this);
    return this.forward(...inputs);
  }

  /** The name of a field in the paths of a state dict: the field's own, unless a subclass says otherwise; '' leaves it out. */
  protected stateName(field: string): string {
    return field;
  }

  /** Names and variables that are trained. One that is reachable under two names comes once, under the first. */
  namedParameters(): [name: string, parameter: Variable][] {
    return this.#unique((found) => !found.buffer);
  }

  /** Names and variables that are saved but not trained, each once. */
  namedBuffers(): [name: string, variable: Variable][] {
    return this.#unique((found) => found.buffer);
  }

  parameters(): Variable[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  buffers(): Variable[] {
    return this.namedBuffers().map(([, variable]) => variable);
  }

  /** Names and modules, each once, this one first with the name ''. */
  namedModules(): [name: string, module: AnyModule][] {
    const first = new Map<AnyModule, string>();
    walk(this, names, {
      module: (module, name) => void (first.has(module) || first.set(module, name)),
      variable: nothing,
    });
    return [...first].map(([module, name]) => [name, module]);
  }

  modules(): AnyModule[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** Sets `training` here and in all modules within. */
  train(mode = true): this {
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  /** As `train(false)`. */
  eval(): this {
    return this.train(false);
  }

  /**
   * The values of all parameters and buffers as they are now, by name. Later training does not change them; they are
   * tensors of their own to dispose of. A variable under two names comes under both.
   */
  stateDict(): StateDict {
    return noGrad(() =>
      Object.fromEntries(this.#all().map(({ name, variable }) => [name, detach(variable)])),
    );
  }

  /**
   * Gives the parameters and buffers the values of a dict. Floats are cast to the parameter's dtype. On an error nothing
   * has changed.
   *
   * @throws StateDictError when a shape or a kind of dtype does not fit, and, if strict, when names are missing or
   * unexpected; its `problems` list them all.
   */
  loadStateDict(dict: Readonly<Record<string, Tensor>>, options: LoadOptions = {}): LoadReport {
    checkOptions('loadStateDict', options, loadOptions);
    checkDict(dict);
    const { strict = true } = options;
    const all = this.#all();
    const known = new Set(all.map(({ name }) => name));
    const missing = [...known].filter((name) => !Object.hasOwn(dict, name));
    const unexpected = Object.keys(dict).filter((name) => !known.has(name));
    const present = all.filter(({ name }) => Object.hasOwn(dict, name));
    const mismatched = present.flatMap((found) => mismatch(found, dict[found.name]!));
    if (mismatched.length > 0 || (strict && missing.length + unexpected.length > 0)) {
      throw stateDictError(this.constructor.name, missing, unexpected, mismatched, strict);
    }
    noGrad(() => {
      scope(() => {
        for (const { name, variable } of present) assignFrom(variable, dict[name]!);
      });
    });
    return { missing, unexpected };
  }

  /** Drops the gradients of all parameters and gives their memory back. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) {
      const { grad } = parameter;
      parameter.grad = undefined;
      // A trace puts the gradient from before it back when it ends, so it must live on.
      if (!context.trace) grad?.dispose();
    }
  }

  /** Moves all parameters and buffers to a device. The fields get new variables: make an optimiser afterwards. */
  async to(device: Device | string): Promise<this> {
    const all = this.#all();
    const copies = new Map<Variable, Variable>();
    for (const { variable, buffer: isBuffer } of all) {
      if (copies.has(variable)) continue;
      const { requiresGrad, name } = variable;
      const moved = await variable.to(device);
      const copy = new Variable(moved, { requiresGrad, name });
      moved.dispose();
      copies.set(variable, isBuffer ? buffer(copy) : copy);
    }
    for (const { variable, replace } of all) replace(copies.get(variable)!);
    for (const variable of copies.keys()) variable.dispose();
    return this;
  }

  /** Gives the memory of all parameters and buffers back. */
  dispose(): void {
    for (const { variable } of this.#all()) variable.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #all(): Found[] {
    const all: Found[] = [];
    walk(this, names, { module: nothing, variable: (found) => void all.push(found) });
    return all;
  }

  #unique(want: (found: Found) => boolean): [string, Variable][] {
    const first = new Map<Variable, string>();
    for (const found of this.#all())
      if (want(found) && !first.has(found.variable)) first.set(found.variable, found.name);
    return [...first].map(([variable, name]) => [name, variable]);
  }

  static {
    // The walk asks every module for its names; only code of this class may call a protected method of another module.
    nameOf = (module, field) => module.stateName(field);
  }
}

function withoutForward(module: object): ArgumentError {
  const { name } = module.constructor;
  return new ArgumentError(`${name}: this module has no forward()`, {
    op: name,
    received: module,
    fix: 'write the computation as a method of the class: forward(x) { return ...; }',
  });
}

function checkDict(dict: unknown): void {
  if (typeof dict === 'object' && dict !== null && !isPromise(dict)) return;
  throw new ArgumentError(`loadStateDict: expected tensors by name, received ${describe(dict)}`, {
    op: 'loadStateDict',
    received: dict,
    fix: isPromise(dict) ? 'await it first' : 'pass what stateDict() or loadSafetensors() gave',
  });
}

const nothing = (): undefined => undefined;
const names = {
  nameOf: (module: AnyModule, field: string): string => nameOf(module, field),
  isModule: (value: unknown): value is AnyModule => value instanceof Module,
};

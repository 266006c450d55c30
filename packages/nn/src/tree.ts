/** How the fields of a module become names: a walk over its own fields, in the order of their declaration. */
import { ArgumentError, Variable } from '@tutti/core';
import type { AnyModule } from './module.ts';

/** Something with a name inside a module. */
export interface Found {
  /** Dotted path from the root, such as `blocks.0.conv.weight`. */
  readonly name: string;
  readonly variable: Variable;
  readonly buffer: boolean;
  /** Puts another variable into the field. */
  readonly replace: (variable: Variable) => void;
}

const buffers = new WeakSet<Variable>();

/**
 * Marks a variable as a buffer: state that is saved and loaded but not trained, such as a running statistic.
 *
 * @example runningMean = buffer(variable(zeros([8]), { requiresGrad: false }));
 */
export function buffer(variable: Variable): Variable {
  buffers.add(variable);
  return variable;
}

/** What a module tells the walk about itself. */
export interface Names {
  /** The name of a field in paths; '' leaves the field out of them. */
  readonly nameOf: (module: AnyModule, field: string) => string;
  readonly isModule: (value: unknown) => value is AnyModule;
}

interface Visitor {
  readonly module: (module: AnyModule, name: string) => void;
  readonly variable: (found: Found) => void;
}

/** Visits every module and variable under `root`. One that is reachable in several ways is visited under each name. */
export function walk(root: AnyModule, names: Names, visitor: Visitor): void {
  const path = new Set<unknown>();
  const enter = (value: object, name: string, nameOf: (field: string) => string): void => {
    if (path.has(value)) {
      throw new ArgumentError(`module: '${name}' contains itself`, {
        op: 'module',
        received: name,
        fix: 'keep a reference to a parent in a #private field, which is not looked into',
      });
    }
    path.add(value);
    for (const [field, child] of Object.entries(value)) {
      const childName = [name, nameOf(field)].filter((part) => part !== '').join('.');
      visit(child, childName, (variable) => void ((value as Record<string, unknown>)[field] = variable));
    }
    path.delete(value);
  };
  const visit = (value: unknown, name: string, replace: Found['replace']): void => {
    if (value instanceof Variable)
      visitor.variable({ name, variable: value, buffer: buffers.has(value), replace });
    else if (names.isModule(value)) {
      visitor.module(value, name);
      enter(value, name, (field) => names.nameOf(value, field));
    } else if (isContainer(value)) enter(value, name, (field) => field);
  };
  visit(root, '', () => undefined);
}

function isContainer(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

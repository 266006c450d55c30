import { operands } from './expressions.ts';
import type { Expression, IndexVariable, JointKernel, Kernel, Phase } from './kernel.ts';
import type { Anchor, Epilogue } from './routine.ts';

const infix: Readonly<Record<string, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  idiv: '//',
  rem: '%',
  lt: '<',
  le: '<=',
  eq: '==',
  ne: '!=',
  and: '&',
  or: '|',
  xor: '^',
  shl: '<<',
  shr: '>>',
};

/**
 * Prints expressions, naming those that are used more than once. Index variables print as their position, so that the
 * text does not depend on their names and can serve as a cache key.
 */
class Printer {
  readonly lines: string[] = [];
  readonly #names = new Map<Expression, string>();
  readonly #variables = new Map<IndexVariable, string>();

  declare(variables: readonly IndexVariable[], prefix: string): string {
    return variables
      .map((variable) => {
        const name = `${prefix}${this.#variables.size}`;
        this.#variables.set(variable, name);
        return `${name}<${variable.extent}`;
      })
      .join(', ');
  }

  #text(expression: Expression): string {
    switch (expression.op) {
      case 'const':
        return `${Object.is(expression.value, -0) ? '-0' : expression.value}${expression.type === 'i32' ? '' : `:${expression.type}`}`;
      case 'index':
        return this.#variables.get(expression.variable) ?? `?${expression.variable.name}`;
      case 'scalar':
        return `$${expression.param}:${expression.type}`;
      case 'accumulator':
        return `acc${expression.id}:${expression.type}`;
      case 'load': {
        const guard = expression.guard ? ` if ${this.reference(expression.guard)}` : '';
        return `b${expression.buffer}[${this.reference(expression.index)}${guard}]`;
      }
      case 'alu': {
        const args = expression.args.map((arg) => this.reference(arg));
        const sign = infix[expression.alu];
        if (sign && args.length === 2) return `(${args[0]} ${sign} ${args[1]})`;
        const typed = expression.alu === 'cast' || expression.alu === 'bitcast' ? `.${expression.type}` : '';
        return `${expression.alu}${typed}(${args.join(', ')})`;
      }
    }
  }

  reference(expression: Expression): string {
    return this.#names.get(expression) ?? this.#text(expression);
  }

  /** Emits a `let` for every expression under `roots` that has more than one user there. */
  share(roots: readonly Expression[], indent: string): void {
    const users = new Map<Expression, number>();
    const order: Expression[] = [];
    const count = (expression: Expression): void => {
      const seen = users.get(expression) ?? 0;
      users.set(expression, seen + 1);
      if (seen > 0) return;
      for (const operand of operands(expression)) count(operand);
      order.push(expression);
    };
    for (const root of roots) count(root);
    for (const expression of order) {
      if (this.#names.has(expression) || operands(expression).length === 0) continue;
      if (users.get(expression)! < 2) continue;
      const text = this.#text(expression);
      const name = `t${this.#names.size}`;
      this.#names.set(expression, name);
      this.lines.push(`${indent}let ${name}:${expression.type} = ${text}`);
    }
  }
}

function printPhase(printer: Printer, phase: Phase): void {
  const loops = printer.declare(phase.loops, 'k');
  if (phase.kind === 'reduce') {
    printer.lines.push(`  reduce ${loops}`);
    const roots = phase.accumulators.flatMap((a) => (a.position ? [a.value, a.position] : [a.value]));
    printer.share(roots, '    ');
    for (const a of phase.accumulators) {
      const at = a.position ? ` at ${printer.reference(a.position)}` : '';
      printer.lines.push(`    acc${a.id}:${a.type} ${a.op}= ${printer.reference(a.value)}${at}`);
    }
    return;
  }
  printer.lines.push(`  map ${phase.order}${loops ? ` ${loops}` : ''}`);
  const roots = phase.stores.flatMap((s) => (s.guard ? [s.index, s.value, s.guard] : [s.index, s.value]));
  printer.share(roots, '    ');
  for (const s of phase.stores) {
    const sign = { set: '=', add: '+=', max: 'max=' }[s.mode];
    const guard = s.guard ? ` if ${printer.reference(s.guard)}` : '';
    printer.lines.push(
      `    b${s.buffer}[${printer.reference(s.index)}] ${sign} ${printer.reference(s.value)}${guard}`,
    );
  }
}

/** The kernel as text: readable, and equal for kernels that are equal but for names. */
export function printKernel(kernel: Kernel): string {
  const printer = new Printer();
  for (const [i, b] of kernel.buffers.entries())
    printer.lines.push(`  ${b.access} b${i}: ${b.dtype}[${b.length}]`);
  for (const [i, type] of kernel.scalars.entries()) printer.lines.push(`  scalar $${i}: ${type}`);
  printer.lines.push(`  space ${printer.declare(kernel.space, 'i') || 'one point'}`);
  for (const phase of kernel.phases) printPhase(printer, phase);
  return printer.lines.join('\n');
}

/** The joint kernel as text: readable, and equal for those that are equal but for names. */
export function printJoint({ body, parts }: JointKernel): string {
  const lines = parts.map(({ points, origins }) => `  part of ${points} points, from ${origins.join(' ')}`);
  return [printKernel(body), ...lines].join('\n');
}

function printEpilogue(epilogue: Epilogue): string {
  const printer = new Printer();
  printer.lines.push(`  epilogue ${printer.declare(epilogue.space, 'i')}`);
  printer.share([epilogue.value], '    ');
  printer.lines.push(`    result ${printer.reference(epilogue.value)}`);
  return printer.lines.join('\n');
}

/** The anchor as text: readable, and equal for anchors that are equal but for names. */
export function printAnchor(anchor: Anchor): string {
  const { epilogue, name: _name, ...rest } = anchor;
  return epilogue ? `${JSON.stringify(rest)}\n${printEpilogue(epilogue)}` : JSON.stringify(rest);
}

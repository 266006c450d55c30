import { InternalError, Lines } from '@tutti/core/backend';

/** The body of a function. */
export class Code extends Lines {
  #names = 0;

  /** A name that no other value of this function has. Those of buffers are `b` and a number. */
  name(prefix: string): string {
    if (prefix === 'b') throw new InternalError('a value may not have the name of a buffer');
    return `${prefix}${this.#names++}`;
  }

  /** Evaluates now, into a name. */
  keep(prefix: string, text: string): string {
    const name = this.name(prefix);
    this.line(`let ${name} = ${text};`);
    return name;
  }
}

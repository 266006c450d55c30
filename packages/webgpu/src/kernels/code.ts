import { InternalError } from '@tutti/core/backend';

/** Lines of a function body, indented by block. */
export class Code {
  readonly #lines: string[] = [];
  #indent = '  ';
  #names = 0;

  line(text: string): void {
    this.#lines.push(this.#indent + text);
  }

  block(head: string, body: () => void): void {
    this.line(`${head} {`);
    const outer = this.#indent;
    this.#indent += '  ';
    body();
    this.#indent = outer;
    this.line('}');
  }

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

  text(): string {
    return this.#lines.join('\n');
  }
}

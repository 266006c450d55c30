import { bare, Lines } from '@tutti/core/backend';

/** The body of a function. */
export class Code extends Lines {
  readonly #taken = new Set<string>();

  /** A name that nothing else in this function has: the prefix and a number. Textures have `t`, scalars `s`. */
  name(prefix: string): string {
    for (let n = 0; ; n++) {
      const name = `${prefix}${n}`;
      if (!this.#taken.has(name)) return this.#take(name);
    }
  }

  /** The name of an index variable: its own, where that is free and no word of GLSL. */
  variable(name: string): string {
    const usable = /^([a-z]\d*|[a-z]\d*_quad|quad|point)$/.test(name) && !/^[ts]\d/.test(name);
    return usable && !this.#taken.has(name) ? this.#take(name) : this.name('n');
  }

  #take(name: string): string {
    this.#taken.add(name);
    return name;
  }

  /** Evaluates now, into a name. */
  keep(type: string, prefix: string, text: string): string {
    const name = this.name(prefix);
    this.line(`${type} ${name} = ${bare(text)};`);
    return name;
  }

  /** A loop that counts by one from zero: the kind that compilers know best. */
  counted(name: string, trips: string, body: () => void): void {
    this.block(`for (int ${name} = 0; ${name} < ${trips}; ${name}++)`, body);
  }
}

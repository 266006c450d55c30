import { bare, InternalError, Lines, type ScalarType } from '@tutti/core/backend';

export const typeName: Readonly<Record<ScalarType, string>> = {
  f32: 'float',
  i32: 'int',
  u32: 'unsigned',
  bool: 'bool',
};

/** The body of a function. */
export class Code extends Lines {
  readonly #taken = new Set<string>();

  /** A name that no other value of this function has. Buffers are `b` and scalars `s`, with a number. */
  name(prefix: string): string {
    if (prefix === 'b' || prefix === 's')
      throw new InternalError('a value may not have the name of a parameter');
    for (let n = 0; ; n++) {
      const name = `${prefix}${n}`;
      if (this.#take(name)) return name;
    }
  }

  /** The name of an index variable: its own where that can be. */
  variable(name: string): string {
    return /^[a-z]\d*$/.test(name) && !/^[bs]\d/.test(name) && this.#take(name) ? name : this.name('n');
  }

  #take(name: string): boolean {
    if (this.#taken.has(name)) return false;
    this.#taken.add(name);
    return true;
  }

  /** Evaluates now, into a name. */
  keep(type: string, prefix: string, text: string): string {
    const name = this.name(prefix);
    this.line(`const ${type} ${name} = ${bare(text)};`);
    return name;
  }

  /** A loop that counts from zero. `unroll` is how many trips compilers should write out: all, or a number. */
  counted(name: string, trips: number | string, body: () => void, unroll?: 'all' | number): void {
    if (unroll !== undefined) this.line(unroll === 'all' ? '#pragma unroll' : `#pragma unroll ${unroll}`);
    this.block(`for (int ${name} = 0; ${name} < ${trips}; ++${name})`, body);
  }
}

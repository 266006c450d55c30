/** Statements as text: pieces that know nothing of where they stand. */

type Piece = string | false | undefined;

/** Pieces below each other; what is false or empty leaves nothing. */
export const lines = (...pieces: readonly Piece[]): string => pieces.filter(Boolean).join('\n');

const indented = (text: string): string => text.replace(/^(?=[^\n#])/gm, '  ');

/** `head { body }` */
export const block = (head: string, ...body: readonly Piece[]): string =>
  `${head === '' ? '' : `${head} `}{\n${indented(lines(...body))}\n}`;

/** A loop of constant length, written out by the compiler. */
export const unrolled = (name: string, count: number, ...body: readonly Piece[]): string =>
  count === 1
    ? block('', `const int ${name} = 0;`, ...body)
    : lines('#pragma unroll', block(`for (int ${name} = 0; ${name} < ${count}; ${name}++)`, ...body));

/** A condition around a body; none where it always holds. */
export const when = (condition: string | undefined, ...body: readonly Piece[]): string =>
  condition === undefined ? block('', ...body) : block(`if (${condition})`, ...body);

export const all = (...conditions: readonly (string | undefined)[]): string | undefined =>
  conditions.filter((condition) => condition !== undefined).join(' && ') || undefined;

/** A sum; terms that are zero leave nothing. */
export function sum(...terms: readonly string[]): string {
  const present = terms.filter((term) => term !== '' && term !== '0');
  return present.length === 0 ? '0' : present.join(' + ');
}

/** A text times a constant. */
export function times(text: string, factor: number): string {
  if (factor === 0 || text === '0') return '0';
  if (factor === 1) return text;
  return `${/^\w+$/.test(text) ? text : `(${text})`} * ${factor < 0 ? `(${factor})` : factor}`;
}

/** Statements that take a row-major number apart: names `prefix` + d, one index for each of the extents. */
export function indices(prefix: string, number: string, extents: readonly number[]): string {
  const statements: string[] = [];
  let rest = number;
  for (let d = extents.length - 1; d >= 0; d--) {
    statements.push(`const int ${prefix}${d} = ${d === 0 ? rest : `${rest} % ${extents[d]}`};`);
    if (d > 0) {
      statements.push(`const int rest${d} = ${rest} / ${extents[d]};`);
      rest = `rest${d}`;
    }
  }
  return lines(...statements);
}

/**
 * A loop over `count` pieces of work by `threads`, as long as there is one: names `[line]` and `[at]` of a piece, of which a line has
 * `perLine`. Written so that compilers see what a thread's pieces have in common.
 */
export function shared(
  count: number,
  threads: number,
  perLine: number,
  [line, at]: readonly [line: string, at: string],
  ...body: readonly Piece[]
): string {
  const named =
    threads % perLine === 0
      ? `const int ${line} = thread / ${perLine} + i * ${threads / perLine}, ${at} = thread % ${perLine};`
      : perLine % threads === 0
        ? `const int ${line} = i / ${perLine / threads}, ${at} = thread + i % ${perLine / threads} * ${threads};`
        : lines(
            `const int number = thread + i * ${threads};`,
            `const int ${line} = number / ${perLine}, ${at} = number % ${perLine};`,
          );
  const condition = count % threads === 0 ? undefined : `thread + i * ${threads} < ${count}`;
  return unrolled('i', Math.ceil(count / threads), when(condition, named, ...body));
}

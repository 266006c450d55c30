/** Which of the names that exist somebody may have meant. */

/** `keepdim`, `keep_dim` and `keepDim` are one name. */
const plain = (name: string): string => name.replace(/[^a-zA-Z0-9]/g, '').toLowerCase();

/** The first letters of the words of a name: `lr` of `learningRate` and of `learning_rate`. */
const initials = (name: string): string =>
  name
    .split(/(?=[A-Z])|[^a-zA-Z0-9]+/)
    .map((word) => word.charAt(0))
    .join('')
    .toLowerCase();

/** How many letters have to be put in, left out or exchanged to make one word of the other (Levenshtein 1965). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The name among `known` that `received` is most likely a misspelling of, if there is one. */
export function closestName(received: string, known: readonly string[]): string | undefined {
  const word = plain(received);
  if (word === '') return undefined;
  const related = (name: string): boolean => {
    const other = plain(name);
    if (word.slice(0, 4) === other.slice(0, 4)) return true;
    return Math.min(word.length, other.length) >= 3 && (word.includes(other) || other.includes(word));
  };
  const most = word.length < 5 ? 1 : 2; // 2 is also two letters in the wrong order
  const near = (name: string): boolean => editDistance(word, plain(name)) <= most;
  return (
    known.find((name) => plain(name) === word) ??
    known.find((name) => name.length > 1 && plain(name) === initials(received)) ??
    known.find(near) ??
    known.find(related)
  );
}

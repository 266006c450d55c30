/** Lines of generated code, indented by block. */
export class Lines {
  readonly #lines: string[] = [];
  #indent: string;

  constructor(indent = '  ') {
    this.#indent = indent;
  }

  line(text: string): void {
    this.#lines.push(this.#indent + text);
  }

  block(head: string, body: () => void): void {
    this.line(head === '' ? '{' : `${head} {`);
    const outer = this.#indent;
    this.#indent += '  ';
    body();
    this.#indent = outer;
    this.line('}');
  }

  text(): string {
    return this.#lines.join('\n');
  }
}

/** Without the parentheses around all of it. */
export function bare(text: string): string {
  if (!text.startsWith('(') || !text.endsWith(')')) return text;
  let depth = 0;
  for (let i = 0; i < text.length - 1; i++) {
    depth += text[i] === '(' ? 1 : text[i] === ')' ? -1 : 0;
    if (depth === 0) return text;
  }
  return text.slice(1, -1);
}

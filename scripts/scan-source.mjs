// Finds the imports and the strings of a TypeScript source without parsing all of it: a tokenizer that knows
// comments, strings, templates and regular expressions, which is what an import statement can be confused with.

/** A `/` after one of these starts a regular expression, not a division. */
const beforeRegExp =
  /(^|[([{,;:=!&|?+\-*%~^<>])$|\b(return|typeof|case|in|of|delete|void|throw|new|else|do|await|yield)$/;

/**
 * @param {string} source
 * @returns {{
 *   imports: { specifier: string, line: number, typeOnly: boolean, lazy: boolean }[],
 *   strings: { text: string, line: number }[],
 * }} Imports of every form (`lazy`: inside a call, so run later or never), and strings that are not specifiers.
 */
export function scanSource(source) {
  const tokens = tokenize(source);
  const imports = [];
  const specifiers = new Set();
  tokens.forEach((token, index) => {
    if (token.kind !== 'word' || (token.text !== 'import' && token.text !== 'export')) return;
    if (tokens[index - 1]?.text === '.') return;
    const found = token.text === 'import' ? afterImport(tokens, index) : afterExport(tokens, index);
    if (found === undefined) return;
    specifiers.add(found.token);
    imports.push({
      specifier: found.token.text,
      line: found.token.line,
      typeOnly: found.typeOnly,
      lazy: found.lazy,
    });
  });
  const strings = tokens
    .filter((token) => token.kind === 'string' && !specifiers.has(token))
    .map(({ text, line }) => ({ text, line }));
  return { imports, strings };
}

function afterImport(tokens, index) {
  const next = tokens[index + 1];
  if (next?.kind === 'string') return { token: next, typeOnly: false, lazy: false };
  if (next?.text === '(') {
    const argument = tokens[index + 2];
    if (argument?.kind !== 'string') return undefined;
    // `import('./x.ts').Thing` in a type position is followed by a member and not by a call; it is erased.
    return { token: argument, typeOnly: false, lazy: true };
  }
  if (next?.text === '.') return undefined;
  const typeOnly =
    next?.text === 'type' && tokens[index + 2]?.text !== 'from' && tokens[index + 2]?.text !== ',';
  return fromClause(tokens, index + 1, typeOnly);
}

function afterExport(tokens, index) {
  let at = index + 1;
  const typeOnly = tokens[at]?.text === 'type' && ['{', '*'].includes(tokens[at + 1]?.text ?? '');
  if (typeOnly) at += 1;
  return tokens[at]?.text === '{' || tokens[at]?.text === '*' ? fromClause(tokens, at, typeOnly) : undefined;
}

/** Reads names, braces, commas and `*` up to `from '...'`; anything else means there is no such clause. */
function fromClause(tokens, start, typeOnly) {
  for (let at = start; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token.text === 'from' && tokens[at + 1]?.kind === 'string') {
      return { token: tokens[at + 1], typeOnly, lazy: false };
    }
    const belongs =
      token.kind === 'word' || token.kind === 'string' || ['{', '}', ',', '*'].includes(token.text);
    if (!belongs) return undefined;
  }
  return undefined;
}

function tokenize(source) {
  const tokens = [];
  // One entry for each template literal that an expression `${...}` is open in: the depth of its braces.
  const templates = [];
  let line = 1;
  let at = 0;

  const push = (kind, text, atLine = line) => tokens.push({ kind, text, line: atLine });
  const skipTo = (end) => {
    for (; at < end; at += 1) if (source[at] === '\n') line += 1;
  };
  const endOf = (text, from) => {
    const found = source.indexOf(text, from);
    return found === -1 ? source.length : found + text.length;
  };
  /** Reads a template's characters from `at` to its end or to the next `${`. */
  const readTemplate = () => {
    const startLine = line;
    let end = at;
    while (end < source.length && source[end] !== '`' && !source.startsWith('${', end))
      end += source[end] === '\\' ? 2 : 1;
    push('string', source.slice(at, end), startLine);
    const opensExpression = source.startsWith('${', end);
    skipTo(end + (opensExpression ? 2 : 1));
    if (opensExpression) templates.push(0);
  };

  while (at < source.length) {
    const char = source[at];
    if (/\s/.test(char)) skipTo(at + 1);
    else if (source.startsWith('//', at) || (at === 0 && source.startsWith('#!'))) skipTo(endOf('\n', at));
    else if (source.startsWith('/*', at)) skipTo(endOf('*/', at + 2));
    else if (char === "'" || char === '"') {
      let end = at + 1;
      while (end < source.length && source[end] !== char && source[end] !== '\n')
        end += source[end] === '\\' ? 2 : 1;
      push('string', source.slice(at + 1, end));
      skipTo(end + 1);
    } else if (char === '`') {
      skipTo(at + 1);
      readTemplate();
    } else if (char === '}' && templates.at(-1) === 0) {
      templates.pop();
      skipTo(at + 1);
      readTemplate();
    } else if (char === '/' && startsRegExp(tokens.at(-1))) {
      skipTo(endOfRegExp(source, at));
      push('regexp', '/');
    } else if (/[\w$]/.test(char)) {
      const word = /[\w$]+/y;
      word.lastIndex = at;
      const [text] = word.exec(source);
      push('word', text);
      at += text.length;
    } else {
      if (templates.length > 0 && char === '{') templates[templates.length - 1] += 1;
      if (templates.length > 0 && char === '}') templates[templates.length - 1] -= 1;
      push('mark', char);
      at += 1;
    }
  }
  return tokens;
}

function startsRegExp(previous) {
  if (previous === undefined) return true;
  return (previous.kind === 'mark' || previous.kind === 'word') && beforeRegExp.test(previous.text);
}

function endOfRegExp(source, start) {
  let inClass = false;
  for (let at = start + 1; at < source.length; at += 1) {
    const char = source[at];
    if (char === '\\') at += 1;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '\n') return start + 1;
    else if (char === '/' && !inClass) return at + 1;
  }
  return source.length;
}

/** How errors look on the command line: `error [CODE]: message`, then what to do. */
import { CommanderError } from 'commander';
import { ArgumentError, TuttiError } from 'tutti';

/** The text of an error for a person; with `verbose`, its stack and its causes too. */
export function describeError(error: unknown, verbose: boolean): string {
  const { code, message } = inWords(error);
  const lines = [`error [${code}]: ${message}`];
  if (verbose) lines.push(...stacks(error));
  return lines.join('\n');
}

/** 2 for what was wrong with the arguments, 1 for everything else. */
export function exitCodeOf(error: unknown): number {
  return error instanceof CommanderError || error instanceof ArgumentError ? 2 : 1;
}

function inWords(error: unknown): { readonly code: string; readonly message: string } {
  if (TuttiError.isInstance(error)) return { code: error.code, message: error.message };
  if (error instanceof CommanderError) return { code: 'TUTTI_ARGUMENT', message: usageMessage(error) };
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: 'UNEXPECTED',
    message: `${message}\n  fix: this is a defect of the program; --verbose shows where it happened`,
  };
}

/** The words of the argument parser in our form: no `error:` of its own, and its advice as the fix. */
function usageMessage(error: CommanderError): string {
  const text = error.message.replace(/^error: /, '');
  const [, message, advice] = /^(.+?)(?:\n\(|\. (?=It is|Allowed))(.+?)[.)]*$/s.exec(text) ?? [
    undefined,
    text,
    undefined,
  ];
  const fix = advice ? `${advice[0]!.toLowerCase()}${advice.slice(1)}` : '--help lists what there is';
  return `${message}\n  fix: ${fix}`;
}

function stacks(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const cause = error.cause === undefined ? [] : ['caused by', ...stacks(error.cause)];
  return [error.stack ?? error.message, ...cause];
}

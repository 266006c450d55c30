import { KernelError, numbered } from '@tutti/core/backend';
import type { DrawSource } from '../gpu/draw.ts';

/** "ERROR: 0:3: 'missing' : undeclared identifier", as drivers say it, or something like it. */
const place = /^ERROR: \d+:(\d+): /;

/** @param log What the driver, or gpu.js, says. */
export function compileError({ name, code }: DrawSource, log: string): KernelError {
  const lines = log.replace(/^Error compiling \w+ shader: /, '').split('\n');
  const [first = 'the driver does not say why', ...more] = lines
    .map((line) => line.replaceAll('\0', '').trim())
    .filter((line) => line !== '')
    .map((line) => line.replace(place, 'line $1: '));
  const others = more.length > 0 ? ` (and ${more.length} more)` : '';
  return new KernelError(`kernel ${name} does not compile: ${first}${others}`, {
    op: name,
    received: numbered(code),
    cause: log,
    fix: 'this is a defect of the library; please report it with the GLSL in `received`',
  });
}

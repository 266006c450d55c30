/** Runs programs that the test generated. */
import type { WebglBackend } from '../../src/backend.ts';
import type { GlslProgram } from '../../src/program.ts';
import { uploadBytes } from './device.ts';
import { fromHex, fromText, toHex } from './encoding.ts';

export interface SentProgram {
  readonly program: Omit<GlslProgram, 'ready' | 'source'>;
  /** Contents of the buffers before, in hexadecimal. */
  readonly buffers: readonly string[];
  readonly scalars: readonly string[];
}

export type Outcome =
  | { readonly buffers: readonly string[] }
  | { readonly error: string; readonly received: string };

/** The buffers after each program has run, or why it did not. */
export async function runAll(backend: WebglBackend, cases: readonly SentProgram[]): Promise<Outcome[]> {
  const loaded = cases.map(({ program }) => backend.load({ ...program, source: () => '' }));
  await Promise.allSettled(loaded.map(({ ready }) => ready));
  const outcomes: Outcome[] = [];
  for (const [i, { buffers, scalars }] of cases.entries()) {
    try {
      const program = loaded[i]!;
      await program.ready;
      const bound = buffers.map((hex) => uploadBytes(backend, fromHex(hex)));
      backend.submit([{ kind: 'dispatch', program, buffers: bound, scalars: scalars.map(fromText) }]);
      const after = await Promise.all(bound.map((buffer) => backend.read(buffer, 0, buffer.bytes)));
      for (const buffer of bound) backend.free(buffer);
      outcomes.push({ buffers: after.map(toHex) });
    } catch (error) {
      const { message, received } = error as { readonly message: string; readonly received?: unknown };
      outcomes.push({ error: message, received: String(received ?? '') });
    }
  }
  return outcomes;
}

/**
 * The few things that differ between Node and a browser. Node's modules come from `process.getBuiltinModule` and never
 * from an import, so that bundlers for the browser find nothing to resolve.
 */
interface NodeProcess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly versions: { readonly node?: string };
  readonly hrtime: { bigint(): bigint };
  readonly getBuiltinModule?: (name: string) => unknown;
}

const nodeProcess = (globalThis as { process?: NodeProcess }).process;

/** True in Node, and in what behaves as Node does. */
export const isNode: boolean = nodeProcess?.versions?.node !== undefined;

/** One of Node's own modules; undefined in a browser, and in Node before 20.16. */
export function nodeModule<T>(name: string): T | undefined {
  return isNode ? (nodeProcess?.getBuiltinModule?.(name) as T | undefined) : undefined;
}

/** An environment variable; undefined where there is no environment. */
export const environment = (name: string): string | undefined => nodeProcess?.env?.[name];

/** Milliseconds on a clock that all threads share. */
export const clock: () => number = isNode
  ? () => Number(nodeProcess!.hrtime.bigint()) / 1e6
  : () => performance.timeOrigin + performance.now();

/** Hardware threads that this process may use. */
export function hardwareThreads(): number {
  const os = nodeModule<typeof import('node:os')>('node:os');
  return os?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** The processor's name, where it can be had. */
export function processorName(): string {
  const os = nodeModule<typeof import('node:os')>('node:os');
  return os?.cpus()[0]?.model.trim() || 'CPU';
}

/** True where `Atomics.wait` may be called on this thread: everywhere but on a browser's main thread. */
export function mayBlock(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/** Prints a warning for people. Each text is shown once in a process. */
export function notice(text: string): void {
  if (shown.has(text)) return;
  shown.add(text);
  console.warn(`tutti (cpu): ${text}`);
}
const shown = new Set<string>();

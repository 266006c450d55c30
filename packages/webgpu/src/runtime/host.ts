/** The few things that differ between Node and a browser. */
interface NodeProcess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: string;
  readonly versions: { readonly node?: string };
  readonly dlopen?: (module: object, filename: string) => void;
}

const nodeProcess = (globalThis as { process?: NodeProcess }).process;

/** True in Node, and in what behaves as Node does. */
export const isNode: boolean = nodeProcess?.versions?.node !== undefined;

/** `linux`, `darwin`, `win32`; undefined in a browser. */
export const platform: string | undefined = isNode ? nodeProcess?.platform : undefined;

/** An environment variable; undefined where there is no environment, or where it is empty. */
export const environment = (name: string): string | undefined => nodeProcess?.env?.[name] || undefined;

/** True where the system can load a shared library of this name. */
export function hasLibrary(name: string): boolean {
  try {
    nodeProcess?.dlopen?.({ exports: {} }, name);
  } catch (error) {
    // It was loaded, and then let go of again because it is not an addon.
    return error instanceof Error && error.message.includes('self-register');
  }
  return true;
}

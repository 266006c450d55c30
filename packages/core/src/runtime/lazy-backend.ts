import { type BackendFactory, BackendUnavailableError } from '../backend/index.ts';
import { announcedBackend } from '../backend/loaded.ts';

/**
 * A factory for a package that may not be installed: it is loaded when it is first asked for, unless it is loaded already, and
 * again after it failed.
 */
export function lazyBackend(options: {
  readonly name: string;
  readonly priority: number;
  readonly load: () => Promise<BackendFactory>;
  /** Why loading fails, and what to do about it. */
  readonly missing: { readonly reason: string; readonly fix: string };
}): BackendFactory {
  const { name, priority, missing } = options;
  let loading: Promise<BackendFactory> | undefined;
  const load = async (): Promise<BackendFactory> => {
    const announced = announcedBackend(name);
    if (announced) return announced;
    try {
      return await (loading ??= options.load());
    } catch (cause) {
      loading = undefined;
      const { reason, fix } = missing;
      throw new BackendUnavailableError(`${name} is not available: ${reason}`, { fix, cause });
    }
  };
  return {
    name,
    priority,
    async probe() {
      const factory = await load().catch(() => undefined);
      return factory ? factory.probe() : { available: false, ...missing };
    },
    open: async (index) => (await load()).open(index),
  };
}

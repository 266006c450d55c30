/** Backends made of other backends. */
import type { Backend, BackendFactory } from '@tutti/core/backend';

/** A device that does what `inner` does, but for some methods. They are bound to it: it may have private state. */
export function delegate(inner: Backend, changes: Partial<Backend>): Backend {
  const optional = {
    ...(inner.readSync ? { readSync: inner.readSync.bind(inner) } : {}),
    ...(inner.time ? { time: inner.time.bind(inner) } : {}),
    ...(inner.joint ? { joint: inner.joint.bind(inner) } : {}),
  };
  return {
    info: inner.info,
    get failure() {
      return inner.failure;
    },
    allocate: (bytes) => inner.allocate(bytes),
    free: (buffer) => inner.free(buffer),
    write: (buffer, data, offset) => inner.write(buffer, data, offset),
    read: (buffer, offset, bytes) => inner.read(buffer, offset, bytes),
    compile: (kernel) => inner.compile(kernel),
    routine: (anchor) => inner.routine(anchor),
    submit: (commands) => inner.submit(commands),
    memory: () => inner.memory(),
    dispose: () => inner.dispose(),
    ...optional,
    ...changes,
  };
}

/** A factory under another name whose devices are changed ones of another factory. */
export const delegating = (
  factory: BackendFactory,
  name: string,
  change: (inner: Backend) => Partial<Backend>,
): BackendFactory => ({
  name,
  priority: factory.priority,
  probe: () => factory.probe(),
  open: async (index) => {
    const inner = await factory.open(index);
    return delegate(inner, change(inner));
  },
});

/**
 * The same backend with no hand-tuned routines, as `<name>-decomposed`: every anchor runs as its decomposition, which has
 * to give what the routine gives.
 */
export const withoutRoutines = (factory: BackendFactory): BackendFactory =>
  delegating(factory, `${factory.name}-decomposed`, () => ({ routine: () => undefined }));

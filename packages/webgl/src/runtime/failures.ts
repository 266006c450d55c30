/** What a device fails with. */
import {
  DeviceError,
  DisposedError,
  KernelError,
  OutOfMemoryError,
  type TuttiError,
} from '@tutti/core/backend';

/** Whose a context is: `own` has a canvas that nobody else knows, `borrowed` is used by others as well. */
export type Ownership = 'own' | 'canvas' | 'borrowed';

/** A context of the user's is lost to its canvas until the browser restores it. */
const openAgain = (ownership: Ownership): string =>
  ownership === 'own'
    ? "open the device again: await setDefaultDevice('webgl'), and load the parameters that were saved"
    : "wait for 'webglcontextrestored' (the event 'webglcontextlost' needs its default prevented), or registerBackend(createWebglBackend()); " +
      "then await setDefaultDevice('webgl'), and load the parameters that were saved";

export const disposedError = (): DisposedError => new DisposedError('the webgl device has been disposed');

/** Browsers take contexts away when the GPU fails, sleeps or is short of memory, and when a page has too many of them. */
export const lostError = (ownership: Ownership): DeviceError =>
  new DeviceError('the WebGL context was lost; its tensors are gone', {
    received: 'webglcontextlost',
    fix: openAgain(ownership),
  });

/** What WebGL notes for whoever asks. Whatever came after has not been computed. */
export function reportedError(code: number, name: string, ownership: Ownership): TuttiError {
  if (name === 'OUT_OF_MEMORY') {
    return new OutOfMemoryError('the GPU ran out of memory', {
      received: code,
      fix: `free tensors (scope, dispose) or use smaller batches; then ${openAgain(ownership)}`,
    });
  }
  return new KernelError(`WebGL refused a command: ${name}`, {
    received: code,
    fix: `this is a defect of the library; please report it. The device has ended: ${openAgain(ownership)}`,
  });
}

/** What a device fails with. */
import {
  DeviceError,
  type DisposedError,
  disposedDevice,
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

export const disposedError = (): DisposedError => disposedDevice('webgl');

/** Browsers take contexts away when the GPU fails, sleeps or is short of memory, and when a page has too many of them. */
export const lostError = (ownership: Ownership): DeviceError =>
  new DeviceError('the WebGL context was lost; its tensors are gone', {
    received: 'webglcontextlost',
    fix: openAgain(ownership),
  });

/** A page can get at the context of a canvas of its own. */
const culprit = (ownership: Ownership): string =>
  ownership === 'canvas'
    ? 'if the page uses the context of this canvas too, give that to createWebglBackend({ context }); otherwise this is a defect of the library, please report it'
    : 'this is a defect of the library; please report it';

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
    fix: `${culprit(ownership)}. The device has ended: ${openAgain(ownership)}`,
  });
}

/** What the driver fails with, in the library's words. */
import { DeviceError, KernelError, messageOf, OutOfMemoryError, type TuttiError } from '@tutti/core/backend';

/** An error of the addon. */
interface NativeError {
  readonly code?: unknown;
  readonly call?: unknown;
}

export const codeOf = (error: unknown): string | undefined => {
  const { code } = (error ?? {}) as NativeError;
  return typeof code === 'string' ? code : undefined;
};

export const outOfMemory = 'CUDA_ERROR_OUT_OF_MEMORY';
export const libraryOutOfMemory = 'CUBLAS_STATUS_ALLOC_FAILED';

/** After these the driver takes no more work from this process. */
const processIsLost = new Set([
  'CUDA_ERROR_ECC_UNCORRECTABLE',
  'CUDA_ERROR_NVLINK_UNCORRECTABLE',
  'CUDA_ERROR_CONTAINED',
  'CUDA_ERROR_ILLEGAL_ADDRESS',
  'CUDA_ERROR_LAUNCH_TIMEOUT',
  'CUDA_ERROR_ASSERT',
  'CUDA_ERROR_HARDWARE_STACK_ERROR',
  'CUDA_ERROR_ILLEGAL_INSTRUCTION',
  'CUDA_ERROR_MISALIGNED_ADDRESS',
  'CUDA_ERROR_INVALID_ADDRESS_SPACE',
  'CUDA_ERROR_INVALID_PC',
  'CUDA_ERROR_LAUNCH_FAILED',
  'CUDA_ERROR_TENSOR_MEMORY_LEAK',
  'CUDA_ERROR_UNKNOWN',
]);

/** Whether nothing but another process helps. */
export const endsProcess = (error: unknown): boolean => processIsLost.has(codeOf(error) ?? '');

/** After these the device has to be opened again. */
const deviceIsLost = new Set([
  'CUDA_ERROR_CONTEXT_IS_DESTROYED',
  'CUDA_ERROR_INVALID_CONTEXT',
  'CUDA_ERROR_DEINITIALIZED',
  'CUDA_ERROR_DEVICE_UNAVAILABLE',
]);

export interface Failure {
  readonly error: TuttiError;
  /** Nothing more can be computed on the device. */
  readonly fatal: boolean;
}

/**
 * @param name Of the device: `cuda:1`.
 * @param doing When it happened: "while commands were submitted".
 */
export function failureOf(cause: unknown, doing: string, name: string): Failure {
  const code = codeOf(cause);
  const details = { received: code, cause };
  const again = `open the device again: await setDefaultDevice('${name}'), and load the parameters that were saved`;
  if (code && (processIsLost.has(code) || deviceIsLost.has(code))) {
    const fix = processIsLost.has(code)
      ? 'restart the process: the driver takes no more work from this one. Then load the parameters that were saved'
      : again;
    const what = `the CUDA device ${name} failed ${doing}: ${messageOf(cause)}; its tensors are gone`;
    return { error: new DeviceError(what, { ...details, fix }), fatal: true };
  }
  if (code === outOfMemory || code === libraryOutOfMemory) {
    const error = new OutOfMemoryError(`the GPU ran out of memory ${doing}: ${messageOf(cause)}`, {
      ...details,
      fix: 'free tensors (scope, dispose), or use smaller batches',
    });
    return { error, fatal: false };
  }
  const error = new KernelError(`CUDA refused what it was given ${doing}: ${messageOf(cause)}`, {
    ...details,
    fix: 'this is a defect of the library; please report it with the text above',
  });
  return { error, fatal: false };
}

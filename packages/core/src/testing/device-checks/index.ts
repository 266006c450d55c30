/** What the contract promises of a device: for the tests of a backend's runtime. */
import { bufferChecks } from './buffers.ts';
import type { DeviceCheck } from './check.ts';
import { programChecks } from './programs.ts';
import { queueChecks } from './queue.ts';

export {
  bytesOf,
  type CheckedDevice,
  copy,
  type DeviceCheck,
  dispatch,
  download,
  intsOf,
  type OpenDevice,
  upload,
} from './check.ts';
export { randomSteps } from './random-steps.ts';

/** All of them. */
export const deviceChecks: readonly DeviceCheck[] = [...bufferChecks, ...programChecks, ...queueChecks];

/** Checks of what runs programs: each gives what JSON can hold. */
import { bufferChecks } from './runtime/buffers.ts';
import { contextChecks } from './runtime/contexts.ts';
import { contractChecks } from './runtime/contract.ts';
import { deviceChecks } from './runtime/device.ts';
import { programChecks } from './runtime/programs.ts';

const checks = { ...bufferChecks, ...contextChecks, ...contractChecks, ...deviceChecks, ...programChecks };

Object.assign(globalThis, { checks });
export type Checks = typeof checks;

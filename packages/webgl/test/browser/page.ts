/** Runs programs that tests generate. */
import type { ShaderFeatures } from '../../src/program.ts';
import { make, type TestDevice } from './device.ts';
import { type Outcome, runAll, type SentProgram } from './run.ts';

let opened: TestDevice | undefined;

/** One device for all programs, made anew when it has failed. */
function device(): TestDevice {
  if (!opened || opened.backend.failure) opened = make();
  return opened;
}

const checks = {
  features: (): ShaderFeatures => device().context.features,
  run: (cases: readonly SentProgram[]): Promise<Outcome[]> => runAll(device().backend, cases),
};

Object.assign(globalThis, { checks });
export type Checks = typeof checks;

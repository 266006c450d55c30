import type { DType } from '@tutti/core/backend';

/**
 * - `reference`, `derivative`, `second derivative`: the oracle itself, against the formula of the case and finite differences.
 * - `eager`, `unfused`, `jit`: results of a backend, with fusion, without, and from a traced plan.
 * - `gradient`, `jit gradient`: gradients of a backend against the oracle's value of the same gradient graph.
 * - `random`: random graphs; see `fuzz`.
 */
export type Mode =
  | 'reference'
  | 'derivative'
  | 'second derivative'
  | 'eager'
  | 'unfused'
  | 'jit'
  | 'gradient'
  | 'jit gradient'
  | 'random';

export type Status = 'pass' | 'fail' | 'unsupported' | 'notRun';

/** One case in one dtype on one backend in one mode. */
export interface ConformanceResult {
  readonly case: string;
  readonly op: string;
  readonly dtype: DType;
  /** Id of the device; `oracle` for what needs none. */
  readonly backend: string;
  readonly mode: Mode;
  readonly status: Status;
  /** Largest relative error. */
  readonly maxRel: number;
  /** Largest error in units in the last place of the dtype. */
  readonly maxUlp: number;
  /** Of anything but a pass. */
  readonly reason?: string;
}

/** A device that took part, or a backend that could not. */
export interface ReportedDevice {
  readonly id: string;
  readonly available: boolean;
  readonly description: string;
  readonly emulated?: boolean;
}

export type Counts = { -readonly [S in Status]: number };

/** The result of a run; `JSON.stringify` of it is the file format. */
export interface ConformanceReport {
  readonly devices: readonly ReportedDevice[];
  readonly results: readonly ConformanceResult[];
  /** What was left out because it was asked to be, one sentence for each. Absent where the whole suite ran. */
  readonly leftOut?: readonly string[];
  /** Counts by backend. */
  readonly summary: Readonly<Record<string, Counts>>;
}

export function summarise(results: readonly ConformanceResult[]): Record<string, Counts> {
  const summary: Record<string, Counts> = {};
  for (const { backend, status } of results) {
    summary[backend] ??= { pass: 0, fail: 0, unsupported: 0, notRun: 0 };
    summary[backend][status]++;
  }
  return summary;
}

/** 1 when anything failed, or when a backend of `required` has anything that did not run; otherwise 0. */
export function exitCode(report: ConformanceReport, required: readonly string[]): 0 | 1 {
  const failed = Object.values(report.summary).some(({ fail }) => fail > 0);
  const missing = required.some((backend) => {
    const counts = report.summary[backend];
    return !counts || counts.notRun > 0 || counts.pass === 0;
  });
  return failed || missing ? 1 : 0;
}

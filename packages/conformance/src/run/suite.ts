/** Runs the cases against the oracle and the devices, and gathers the rows of the report. */

import type { DeviceEntry } from '@tutti/core';
import { Device, DeviceError, devices as knownDevices, scope, setDefaultDevice } from '@tutti/core';
import { type DType, defaultCapabilities } from '@tutti/core/backend';
import { replaceDefaultDevice } from '@tutti/core/graph';
import type { OpCase, Sample } from '../cases/case.ts';
import { cases } from '../cases/index.ts';
import { checkGradient, checkSecondGradient } from '../check/derivative.ts';
import { checkJudged, checkReference, type Expectation } from '../check/expectation.ts';
import { fuzz, fuzzKinds } from '../fuzz/fuzz.ts';
import { compare } from '../tolerance/compare.ts';
import {
  type BackendMode,
  backendModes,
  backward,
  expect,
  forward,
  type Measured,
  type Outcome,
  runBatch,
} from './modes.ts';
import {
  type ConformanceReport,
  type ConformanceResult,
  exitCode,
  type Mode,
  type ReportedDevice,
  summarise,
} from './report.ts';
import { Selection, type SelectionOptions } from './selection.ts';
import { isOf, type Shard } from './shard.ts';

export interface ConformanceOptions extends SelectionOptions {
  /** Ids of the devices to run, for example `['cpu', 'cuda:1']`. Default: all that are available. */
  readonly backends?: readonly string[];
  /** Devices that must have run. Default: those named in `backends`. */
  readonly required?: readonly string[];
  /** Only cases whose name or operation contains this text. Default: all. */
  readonly filter?: string;
  /** The cases to run, for example one's own. Default: all of the suite. */
  readonly cases?: readonly OpCase[];
  /** One of several runs that share the suite; `mergeShards` makes one report of theirs. Default: the whole. */
  readonly shard?: Shard;
  /** Of the random graphs. Default 1. */
  readonly seed?: number;
  /** Ends the run at the first failure. Default false. */
  readonly stopAtFailure?: boolean;
  /** Called before each case and each kind of random test, and again before each of its programs. */
  readonly onProgress?: (progress: ConformanceProgress) => void;
}

export interface ConformanceProgress {
  readonly case: string;
  /** Its position, from 0, and how many there are. */
  readonly done: number;
  readonly total: number;
}

/** What came of a run. */
export interface ConformanceRun {
  readonly report: ConformanceReport;
  /** 1 when anything failed or a required backend did not run; otherwise 0. */
  readonly exitCode: 0 | 1;
}

const passed: Measured = { status: 'pass', maxRel: 0, maxUlp: 0 };
const failed = (reason: string): Measured => ({ status: 'fail', maxRel: 0, maxUlp: 0, reason });

/** One case in one dtype, with what the oracle says of its samples. */
interface Prepared {
  readonly opCase: OpCase;
  readonly dtype: DType;
  readonly samples: readonly Sample[];
  readonly forward: readonly Expectation[];
  /** Samples of which gradients are compared, with the oracle's. */
  readonly gradient: readonly { readonly sample: Sample; readonly expectation: Expectation }[];
}

/** Runs a check of every sample; the first that objects makes the row fail. */
function checkAll(
  samples: readonly Sample[],
  check: (sample: Sample, i: number) => string | undefined,
): Measured {
  for (const [i, sample] of samples.entries()) {
    try {
      const objection = scope(() => check(sample, i));
      if (objection !== undefined && objection !== 'skipped') return failed(`${sample.label}: ${objection}`);
    } catch (error) {
      return failed(`${sample.label}: ${error instanceof Error ? error.message.split('\n')[0] : error}`);
    }
  }
  return passed;
}

const hasGradient = (sample: Sample): boolean => sample.inputs.some((input) => input.differentiable);

function prepare(opCase: OpCase, dtype: DType, selection: Selection): Prepared {
  const { modes } = selection;
  const samples = selection.samplesOf(opCase, dtype);
  const wanted =
    modes.some((mode) => mode.includes('gradient')) && opCase.differentiable && dtype === 'float32';
  return {
    opCase,
    dtype,
    samples,
    forward: samples.map((sample) => scope(() => expect(sample, forward))),
    gradient: (wanted ? samples.filter(hasGradient) : []).map((sample) => ({
      sample,
      expectation: scope(() => expect(sample, backward)),
    })),
  };
}

/** The oracle against the formula of the case and against finite differences: what no backend is needed for. */
function checkOracle(
  { opCase, dtype, samples, forward: expectations }: Prepared,
  modes: readonly Mode[],
): ConformanceResult[] {
  const row = (mode: Mode, measured: Measured): ConformanceResult => ({
    case: opCase.name,
    op: opCase.op,
    dtype,
    backend: 'oracle',
    mode,
    ...measured,
  });
  const rows: ConformanceResult[] = [];
  if (modes.includes('reference')) {
    const check = (sample: Sample, i: number) =>
      checkReference(sample, expectations[i]!, dtype) ?? checkJudged(sample, expectations[i]!.values);
    rows.push(row('reference', checkAll(samples, check)));
  }
  if (!opCase.differentiable || dtype !== 'float32') return rows;
  if (modes.includes('derivative')) rows.push(row('derivative', checkAll(samples, checkGradient)));
  if (modes.includes('second derivative'))
    rows.push(row('second derivative', checkAll(samples.slice(0, 6), checkSecondGradient)));
  return rows;
}

/** Compares what a device gave for a batch with what it should have given. */
export function judge(
  samples: readonly Sample[],
  expectations: readonly Expectation[],
  outcomes: readonly Outcome[],
): Measured {
  let [maxRel, maxUlp] = [0, 0];
  let reason: string | undefined;
  for (const [i, sample] of samples.entries()) {
    const outcome = outcomes[i]!;
    if ('error' in outcome) {
      reason ??= `${sample.label}: ${outcome.error}`;
      continue;
    }
    const { values, alternatives } = expectations[i]!;
    for (const [k, expected] of values.entries()) {
      const comparison = compare(outcome.values[k]!, expected, alternatives[k]);
      if (!comparison.ok)
        reason ??= `${sample.label}: ${values.length > 1 ? `result ${k}: ` : ''}${comparison.reason}`;
      maxRel = Math.max(maxRel, comparison.maxRel);
      maxUlp = Math.max(maxUlp, comparison.maxUlp);
    }
  }
  return reason === undefined
    ? { status: 'pass', maxRel, maxUlp }
    : { status: 'fail', maxRel, maxUlp, reason };
}

const lacking = (storage: readonly DType[], dtypes: readonly (DType | undefined)[]): DType | undefined =>
  dtypes.find((dtype): dtype is DType => dtype !== undefined && !storage.includes(dtype));

async function runMode(
  prepared: Prepared,
  mode: BackendMode,
  storage: readonly DType[],
): Promise<Measured | undefined> {
  const gradient = mode === 'gradient' || mode === 'jit gradient';
  const pairs = gradient
    ? prepared.gradient
    : prepared.samples.map((sample, i) => ({ sample, expectation: prepared.forward[i]! }));
  if (pairs.length === 0) return undefined;
  const missing = lacking(storage, [prepared.dtype]);
  const able = pairs.filter(
    ({ sample }) => !lacking(storage, [sample.result, ...sample.inputs.map((input) => input.dtype)]),
  );
  if (missing || able.length === 0) {
    return {
      status: 'unsupported',
      maxRel: 0,
      maxUlp: 0,
      reason: `the device does not store ${missing ?? 'a dtype of the case'}`,
    };
  }
  const samples = able.map(({ sample }) => sample);
  return judge(
    samples,
    able.map(({ expectation }) => expectation),
    await runBatch(samples, mode),
  );
}

interface Participant {
  readonly id: string;
  readonly storage: readonly DType[];
}

/** The devices of a run: those asked for, or all that are there. */
async function participants(
  options: ConformanceOptions,
): Promise<{ devices: ReportedDevice[]; able: Participant[] }> {
  const known = await knownDevices();
  const available = known.filter((entry) => entry.available).map((entry) => entry.id);
  const unknown = `there is no such device; those that are there: ${available.join(', ') || 'none'}`;
  const able: Participant[] = [];
  const devices: ReportedDevice[] = [];
  for (const id of options.backends ?? available) {
    const entry = known.find((candidate) => candidate.id === id);
    devices.push(reported(id, entry, unknown));
    if (entry?.available)
      able.push({ id, storage: entry.info.capabilities.storage ?? defaultCapabilities.storage });
  }
  for (const id of options.required ?? []) {
    if (!devices.some((device) => device.id === id))
      devices.push(
        reported(
          id,
          known.find((candidate) => candidate.id === id),
          'it was not asked to run',
        ),
      );
  }
  return { devices, able };
}

function reported(id: string, entry: DeviceEntry | undefined, otherwise: string): ReportedDevice {
  if (!entry) return { id, available: false, description: otherwise };
  if (!entry.available) return { id, available: false, description: `${entry.reason} (${entry.fix})` };
  return { id, available: true, description: entry.info.description, emulated: entry.info.emulated };
}

const matches =
  (filter: string | undefined) =>
  (opCase: OpCase): boolean =>
    !filter || opCase.name.includes(filter) || opCase.op.includes(filter);

/**
 * Runs the suite: every case × dtype against the oracle, and on every device in every mode. It changes the default device
 * and leaves the last one of the run in force.
 *
 * @example
 * const { report, exitCode } = await runConformance({ backends: ['cpu'], filter: 'conv' });
 * console.log(formatReport(report));
 */
export async function runConformance(options: ConformanceOptions = {}): Promise<ConformanceRun> {
  const selection = new Selection(options);
  const { devices, able } = await participants(options);
  if (able.length === 0) useNoDevice();
  const { shard } = options;
  const matching = (options.cases ?? cases).filter(matches(options.filter));
  const chosen = matching.filter((_, i) => isOf(shard, i));
  const results: ConformanceResult[] = [];
  const random = selection.modes.includes('random') && !options.filter;
  const total = chosen.length + (random ? able.length * fuzzKinds : 0);
  let position = 0;
  const progress = (name: string): void => options.onProgress?.({ case: name, done: position++, total });
  const still = (name: string): void => options.onProgress?.({ case: name, done: position - 1, total });
  const done = (): boolean =>
    options.stopAtFailure === true && results.some((result) => result.status === 'fail');
  for (const opCase of chosen) {
    progress(opCase.name);
    for (const dtype of opCase.dtypes)
      if (!done()) results.push(...(await runCase(opCase, dtype, selection, able, devices)));
  }
  if (random && !done()) {
    const runs = selection.randomGraphs;
    const settings = { runs, seed: options.seed ?? 1, shard, onKind: progress, onProgram: still };
    for (const { id, storage } of able) {
      await setDefaultDevice(id);
      results.push(...(await fuzz({ ...settings, backend: id, storage })));
    }
  }
  const leftOut = selection.leftOut();
  const report: ConformanceReport = {
    devices,
    results,
    ...(leftOut.length > 0 ? { leftOut } : {}),
    summary: summarise(results),
  };
  return { report, exitCode: exitCode(report, options.required ?? options.backends ?? []) };
}

/** Lets graphs be built where nothing can run: all that the oracle needs. */
function useNoDevice(): void {
  const choose = () => Promise.reject(new DeviceError('no device takes part in this run'));
  replaceDefaultDevice(new Device({ choose }));
}

async function runCase(
  opCase: OpCase,
  dtype: DType,
  selection: Selection,
  able: readonly Participant[],
  devices: readonly ReportedDevice[],
): Promise<ConformanceResult[]> {
  const base = { case: opCase.name, op: opCase.op, dtype };
  const results: ConformanceResult[] = devices
    .filter((device) => !device.available)
    .map(({ id, description }) => ({
      ...base,
      backend: id,
      mode: 'eager',
      status: 'notRun',
      maxRel: 0,
      maxUlp: 0,
      reason: description,
    }));
  let prepared: Prepared;
  try {
    prepared = prepare(opCase, dtype, selection);
  } catch (error) {
    return [
      ...results,
      {
        ...base,
        backend: 'oracle',
        mode: 'reference',
        ...failed(error instanceof Error ? error.message : String(error)),
      },
    ];
  }
  const { modes } = selection;
  results.push(...checkOracle(prepared, modes));
  for (const { id, storage } of able) {
    await setDefaultDevice(id);
    for (const mode of backendModes) {
      if (!modes.includes(mode)) continue;
      const measured = await runMode(prepared, mode, storage);
      if (measured) results.push({ ...base, backend: id, mode, ...measured });
    }
  }
  return results;
}

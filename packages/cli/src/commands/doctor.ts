import { Command } from 'commander';
import {
  automaticChoice,
  type DeviceEntry,
  type DeviceInfo,
  devices,
  type KnownBackend,
  knownBackends,
  registeredBackends,
} from 'tutti';
import { type Machine, machine } from '../machine.ts';
import { version } from '../version.ts';

/**
 * One backend: its devices, or why it has none and what to do. Of one that was registered by a flag, package and place are
 * not known: null.
 */
export type BackendReport = {
  readonly name: string;
  readonly package: string | null;
  readonly runs: string | null;
} & (
  | { readonly available: true; readonly devices: readonly (DeviceInfo & { readonly id: string })[] }
  | { readonly available: false; readonly reason: string; readonly fix: string }
);

export interface DoctorReport {
  readonly tutti: string;
  readonly machine: Machine;
  /** Variables: those that choose a device and its threads, null where one is not set, and whatever else of ours is set. */
  readonly environment: Readonly<Record<string, string | null>>;
  /** Best first. */
  readonly backends: readonly BackendReport[];
  /** The device that a program without a choice of its own gets; null where there is none, or where a wrong setting leaves none. */
  readonly automatic: string | null;
}

/** `tutti doctor [--json]` */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('list the backends: their devices, or why they are not available and what to do')
    .option('--json', 'print the report as JSON')
    .action(async ({ json }: { readonly json?: boolean }) => {
      const report = await examine(knownBackends);
      console.log(json ? JSON.stringify(report, null, 2) : describe(report));
      if (!report.backends.some((backend) => backend.available)) process.exitCode = 1;
    });
}

/** Asks every registered backend for its devices. `known` says more of some of them. */
export async function examine(known: readonly KnownBackend[]): Promise<DoctorReport> {
  const entries = await devices();
  const taken = await automaticChoice().then(
    (choice) => choice.taken,
    () => undefined, // a wrong setting, which is told with its backend
  );
  return {
    tutti: version,
    machine: machine(), // after the backends, which may switch features of the engine on
    environment: { TUTTI_DEVICE: null, TUTTI_THREADS: null, ...variables() },
    backends: registeredBackends().map((registered) =>
      reportOf(
        registered.name,
        known.find(({ factory }) => factory === registered),
        entries.filter(({ backend }) => backend === registered.name),
      ),
    ),
    automatic: taken ?? null,
  };
}

const variables = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env)
      .flatMap(([name, value]) => (name.startsWith('TUTTI_') && value ? [[name, value] as const] : []))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

function reportOf(
  name: string,
  known: KnownBackend | undefined,
  entries: readonly DeviceEntry[],
): BackendReport {
  const common = { name, package: known?.package ?? null, runs: known?.runs ?? null };
  const [first] = entries;
  if (first?.available === false)
    return { ...common, available: false, reason: first.reason, fix: first.fix };
  return {
    ...common,
    available: true,
    devices: entries.flatMap((entry) => (entry.available ? [{ id: entry.id, ...entry.info }] : [])),
  };
}

/** The report for a person. */
export function describe({ tutti, machine: m, environment, backends, automatic }: DoctorReport): string {
  const yes = (value: boolean, name: string): string => `${value ? '' : 'no '}${name}`;
  const { simd, relaxedSimd, sharedMemory } = m.webAssembly;
  const set = Object.entries(environment).map(
    ([name, value]) => `${name} ${value === null ? 'not set' : `= ${value}`}`,
  );
  return [
    row('tutti', `${tutti}, Node ${m.node}, ${m.platform}`),
    row('processor', `${m.processor}, ${m.threads} ${m.threads === 1 ? 'thread' : 'threads'}`),
    row(
      'WebAssembly',
      [yes(simd, 'SIMD'), yes(relaxedSimd, 'relaxed SIMD'), yes(sharedMemory, 'shared memory')].join(', '),
    ),
    row('environment', set.join(', ')),
    row('default', describeChoice(automatic, backends)),
    ...backends.flatMap((backend) => ['', ...describeBackend(backend)]),
  ].join('\n');
}

function describeChoice(automatic: string | null, backends: readonly BackendReport[]): string {
  const ids = backends.flatMap((backend) => (backend.available ? backend.devices.map(({ id }) => id) : []));
  if (automatic === null)
    return `none: ${ids.length === 0 ? 'no backend is available' : 'a setting is wrong, see below'}`;
  return ids.includes(automatic.replace(/:0$/, '')) ? automatic : `${automatic}, which is not there`;
}

const row = (name: string, text: string): string => `${name.padEnd(12)} ${text}`;

function describeBackend(backend: BackendReport): string[] {
  if (!backend.available) {
    return [
      row(backend.name, `not available: ${backend.reason}`),
      ...(backend.runs ? [row('', `for: ${backend.runs}`)] : []),
      row('', `fix: ${backend.fix}`),
    ];
  }
  return backend.devices.flatMap(({ id, description, emulated, capabilities: c }) => [
    row(id, `available: ${description}${emulated ? ' (emulated in software)' : ''}`),
    row('', `dtypes: ${c.storage.join(', ')}`),
    row(
      '',
      `limits: ${c.buffersPerKernel} buffers in a kernel, ${formatBytes(c.bytesPerBuffer)} in a buffer`,
    ),
    row('', `can: ${abilities(c).join(', ') || 'nothing beyond the least'}`),
  ]);
}

function abilities(c: DeviceInfo['capabilities']): string[] {
  const words: readonly (readonly [boolean, string])[] = [
    [c.rowPrograms, 'row programs'],
    [c.multipleOutputs, 'several outputs of a kernel'],
    [c.scatterStores, 'scatter'],
    [c.syncRead, 'synchronous reads'],
    [c.timing, 'times of kernels'],
  ];
  return words.flatMap(([can, word]) => (can ? [word] : []));
}

function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 1024 ** unit).toFixed(1))} ${units[unit]}`;
}

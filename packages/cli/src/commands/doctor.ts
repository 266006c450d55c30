import { Command } from 'commander';
import { type DeviceInfo, type KnownBackend, knownBackends } from 'tutti';
import { type Machine, machine } from '../machine.ts';
import { registeredBackends } from '../register.ts';
import { version } from '../version.ts';

/** One known backend: its devices, or why it has none and what to do. */
export type BackendReport = { readonly name: string; readonly package: string; readonly runs: string } & (
  | { readonly available: true; readonly devices: readonly (DeviceInfo & { readonly id: string })[] }
  | { readonly available: false; readonly reason: string; readonly fix: string }
);

export interface DoctorReport {
  readonly tutti: string;
  readonly machine: Machine;
  /** Values of the variables that choose a device and its threads; null where one is not set. */
  readonly environment: Readonly<Record<'TUTTI_DEVICE' | 'TUTTI_THREADS', string | null>>;
  readonly backends: readonly BackendReport[];
  /** The device that a program without a choice of its own gets; null where there is none. */
  readonly automatic: string | null;
}

/** `tutti doctor [--json]` */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('list the backends: their devices, or why they are not available and what to do')
    .option('--json', 'print the report as JSON')
    .action(async ({ json }: { readonly json?: boolean }) => {
      const report = await examine([
        ...knownBackends.filter(({ name }) => !isRegistered(name)),
        ...registeredBackends,
      ]);
      console.log(json ? JSON.stringify(report, null, 2) : describe(report));
      if (!report.backends.some((backend) => backend.available)) process.exitCode = 1;
    });
}

const isRegistered = (name: string): boolean => registeredBackends.some((each) => each.name === name);

/** Asks every backend for its devices. */
export async function examine(known: readonly KnownBackend[]): Promise<DoctorReport> {
  const backends = await Promise.all(known.map(examineBackend));
  const byPriority = [...known].sort((a, b) => b.factory.priority - a.factory.priority);
  const has = (name: string, kind: (device: DeviceInfo) => boolean): boolean =>
    backends.some((each) => each.available && each.name === name && each.devices.some(kind));
  // What software stands in for is taken only where there is nothing else.
  const best =
    byPriority.find(({ name }) => has(name, (device) => !device.emulated)) ??
    byPriority.find(({ name }) => has(name, () => true));
  const wish = process.env['TUTTI_DEVICE'] || null;
  return {
    tutti: version,
    machine: machine(), // after the backends, which may switch features of the engine on
    environment: { TUTTI_DEVICE: wish, TUTTI_THREADS: process.env['TUTTI_THREADS'] || null },
    backends,
    automatic: wish === null || wish === 'auto' ? (best?.name ?? null) : wish,
  };
}

async function examineBackend({
  name,
  package: packageName,
  runs,
  factory,
}: KnownBackend): Promise<BackendReport> {
  const result = await factory.probe();
  const common = { name, package: packageName, runs };
  if (!result.available) return { ...common, ...result };
  const devices = result.devices.map((info, i) => ({ id: i === 0 ? name : `${name}:${i}`, ...info }));
  return { ...common, available: true, devices };
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
    row('default', automatic ?? 'none: no backend is available'),
    ...backends.flatMap((backend) => ['', ...describeBackend(backend)]),
  ].join('\n');
}

const row = (name: string, text: string): string => `${name.padEnd(13)}${text}`;

function describeBackend(backend: BackendReport): string[] {
  if (!backend.available) {
    return [
      row(backend.name, `not available: ${backend.reason}`),
      row('', `for: ${backend.runs}`),
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

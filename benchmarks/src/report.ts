/** The table for people, and the file for programs. */
import { cpus } from 'node:os';
import type { KernelTime } from './adapters/adapter.ts';
import type { DeviceUnderTest } from './devices.ts';
import { ours, packageWithVersion } from './libraries.ts';
import type { CaseReport, Measurement } from './rounds.ts';
import { hiddenShare, pairedRatio } from './statistics.ts';
import { bytesOf, flopsOf, tokensOf, type Work } from './work.ts';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly node: string;
  readonly platform: string;
}

export function machine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model ?? 'unknown processor',
    cores: processors.length,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
}

/** One line for each case and library. The ratio is how many times as long as ours a peer took. */
export function tableRows(report: CaseReport): string[][] {
  return Object.entries(report.measurements).map(([adapter, each], i) => {
    const name = i === 0 ? report.name : '';
    if (each.status !== 'measured') return [name, adapter, each.status, '', '', '', reasonOf(each)];
    const kernels =
      each.kernels === undefined ? '' : `${each.kernels} ${each.kernels === 1 ? 'kernel' : 'kernels'}`;
    return [
      name,
      adapter,
      `${format(each.median)} ms`,
      rate(report.case.work, each),
      ratio(report, adapter),
      each.first === undefined ? '' : `${format(each.first)} ms`,
      kernels,
    ];
  });
}

export const tableHead: readonly string[] = ['case', 'library', 'median', 'rate', `x ${ours}`, 'first', ''];

export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = tableHead.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function reasonOf(each: Measurement): string {
  return 'reason' in each ? each.reason.split('\n')[0]! : '';
}

type Measured = Extract<Measurement, { status: 'measured' }>;

function rate(work: Work, measurement: Measured): string {
  const { median: milliseconds } = measurement;
  const tokens = tokensOf(work);
  if (tokens !== undefined) return `${format((1000 * tokens) / milliseconds)} tokens/s`;
  const flops = flopsOf(work);
  if (flops !== undefined) {
    const gigaflops = flops / milliseconds / 1e6;
    return gigaflops >= 1000 ? `${format(gigaflops / 1000)} TFLOP/s` : `${format(gigaflops)} GFLOP/s`;
  }
  const bytes = bytesOf(work);
  if (bytes !== undefined) return `${format(bytes / milliseconds / 1e6)} GB/s`;
  const hidden = hiddenUploads(measurement);
  if (hidden !== undefined) return `${Math.round(100 * hidden) || 0} % of uploads hidden`;
  if (work.kind === 'replay') return `${format((1000 * milliseconds) / work.kernels)} us/kernel`;
  return '';
}

/** The share of the uploads' time that passes while other work is done. */
function hiddenUploads({ samples, parts }: Measured): number | undefined {
  const { uploads, work } = parts ?? {};
  return uploads && work && hiddenShare(samples, uploads, work);
}

function ratio({ measurements }: CaseReport, adapter: string): string {
  const [own, each] = [measurements[ours], measurements[adapter]];
  if (adapter === ours || own?.status !== 'measured' || each?.status !== 'measured') return '';
  return `${pairedRatio(each.samples, own.samples).toFixed(2)}`;
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const shownKernels = 10;

/** The kernels that take longest, with their share of all. */
export function formatProfile(profile: readonly KernelTime[]): string {
  if (profile.length === 0) return '  the device cannot time kernels';
  const total = profile.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const line = (milliseconds: number, what: string): string =>
    `${format(milliseconds).padStart(9)} ms ${((100 * milliseconds) / total).toFixed(0).padStart(3)} %  ${what}`;
  const sorted = profile.toSorted((a, b) => b.milliseconds - a.milliseconds);
  const lines = sorted.slice(0, shownKernels).map((each) => line(each.milliseconds, each.kernel));
  const others = sorted.slice(shownKernels);
  const rest = others.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return [...lines, ...(others.length > 0 ? [line(rest, `${others.length} others`)] : [])].join('\n');
}

/** One line for each library, and one more where it ran on something else for another case. */
export function descriptionLines(reports: readonly CaseReport[]): string[] {
  const lines = reports.flatMap(({ measurements }) =>
    Object.entries(measurements).flatMap(([adapter, each]) =>
      each.status === 'measured' ? [`${packageWithVersion(adapter)}, ${each.description}`] : [],
    ),
  );
  return [...new Set(lines)];
}

/** What `--json` holds: every sample of every round. */
export function jsonReport(
  suite: string,
  reports: readonly CaseReport[],
  downloadBytes: number | undefined,
  device: DeviceUnderTest | undefined,
): string {
  const cases = reports.map((report) => ({
    name: report.name,
    place: report.case.place,
    work: report.case.work,
    flops: flopsOf(report.case.work),
    bytes: bytesOf(report.case.work),
    tokens: tokensOf(report.case.work),
    iterations: report.case.iterations,
    measurements: Object.fromEntries(
      Object.entries(report.measurements).map(([adapter, each]) => {
        const own = report.measurements[ours];
        const both = own?.status === 'measured' && each.status === 'measured' && adapter !== ours;
        const ratio = both ? pairedRatio(each.samples, own.samples) : undefined;
        const hidden = each.status === 'measured' ? hiddenUploads(each) : undefined;
        return [adapter, { ...each, ratio, hiddenUploads: hidden }];
      }),
    ),
  }));
  return `${JSON.stringify({ suite, machine: machine(), device, libraries: descriptionLines(reports), downloadBytes, cases }, null, 1)}\n`;
}

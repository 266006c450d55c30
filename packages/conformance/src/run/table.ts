import type { DType } from '@tutti/core/backend';
import { everything } from '../cases/inputs.ts';
import type { ConformanceReport, ConformanceResult, Status } from './report.ts';

const names: Readonly<Record<DType, string>> = {
  float32: 'f32',
  float16: 'f16',
  bfloat16: 'bf16',
  int32: 'i32',
  uint32: 'u32',
  uint8: 'u8',
  bool: 'bool',
};

const words: Readonly<Record<Status, string>> = {
  pass: '',
  fail: 'FAIL',
  unsupported: 'unsup',
  notRun: 'notrun',
};

/** Worst first: one failure in any mode makes the cell. */
const severity: readonly Status[] = ['fail', 'notRun', 'pass', 'unsupported'];

/** Errors in units in the last place: whole cells stay narrow. */
function error(ulps: number): string {
  if (ulps === 0) return 'exact';
  return ulps < 100 ? ulps.toFixed(1) : ulps.toExponential(0);
}

function cell(results: readonly ConformanceResult[]): string {
  if (results.length === 0) return '';
  const status = severity.find((candidate) => results.some((result) => result.status === candidate))!;
  if (status !== 'pass') return words[status];
  const measured = results.filter((result) => result.mode !== 'random');
  return measured.length === 0 ? 'pass' : error(Math.max(...measured.map((result) => result.maxUlp)));
}

function layOut(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row.map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join('  '),
    )
    .join('\n');
}

/** Reasons, one line each, the same reason of several modes together. */
function problems(report: ConformanceReport, status: Status): string[] {
  const lines = new Map<string, string[]>();
  for (const result of report.results) {
    if (result.status !== status) continue;
    const line = `${result.backend}  ${result.case} ${names[result.dtype]}: ${result.reason}`;
    lines.set(line, [...(lines.get(line) ?? []), result.mode]);
  }
  return [...lines].map(([line, modes]) => `${line} (${modes.join(', ')})`);
}

/** Every failure with its reason, and what did not run. Empty when all is well. */
export function formatFailures(report: ConformanceReport): string {
  const failures = problems(report, 'fail');
  const missing = report.devices
    .filter(({ available }) => !available)
    .map(({ id, description }) => `${id} did not run: ${description}`);
  return [...(failures.length > 0 ? [['failures', ...failures].join('\n  ')] : []), ...missing].join('\n');
}

const legend =
  'A cell is the largest error, in units of the last place of its dtype. Results near 0 are judged by their absolute error,\n' +
  'so that large cells may pass. unsup: the device declines it. notrun: the device is not there.';

/**
 * The report for people: operation × dtype for each backend, with the largest error in units in the last place (`exact`
 * where there is none), then every failure with its reason, then the counts.
 */
export function formatReport(report: ConformanceReport): string {
  const tables = Object.keys(report.summary).map((backend) => {
    const own = report.results.filter((result) => result.backend === backend);
    const ops = [...new Set(own.map(({ op }) => op))];
    const rows = ops.map((op) => [
      op,
      ...everything.map((dtype) => cell(own.filter((result) => result.op === op && result.dtype === dtype))),
    ]);
    return layOut([[backend, ...everything.map((dtype) => names[dtype])], ...rows]);
  });
  const counts = Object.entries(report.summary).map(
    ([backend, { pass, fail, unsupported, notRun }]) =>
      `${backend}: ${pass} passed, ${fail} failed, ${unsupported} unsupported, ${notRun} not run`,
  );
  const leftOut = (report.leftOut ?? []).map((sentence) => `left out: ${sentence}`);
  return [...tables, legend, formatFailures(report), leftOut.join('\n'), counts.join('\n')]
    .filter((part) => part !== '')
    .join('\n\n');
}

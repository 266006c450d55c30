/** A suite that several runs share: what takes long in one process is done in several at the same time. */
import { type ConformanceReport, type ConformanceResult, summarise } from './report.ts';

/** The run with this index, from 0, of so many. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Whether a shard does the item at this position: every `count`-th, because neighbours take about as long as each other. */
export const isOf = (shard: Shard | undefined, position: number): boolean =>
  !shard || position % shard.count === shard.index;

/** The report of the whole suite, from those of all its shards. */
export function mergeShards(reports: readonly ConformanceReport[]): ConformanceReport {
  const rows = new Map<string, ConformanceResult>();
  for (const row of reports.flatMap((report) => report.results)) {
    const key = [row.case, row.dtype, row.backend, row.mode].join();
    rows.set(key, worse(rows.get(key), row));
  }
  const results = [...rows.values()];
  const leftOut = reports.flatMap((report, i) =>
    (report.leftOut ?? []).map((each) =>
      reports.length > 1 ? `in part ${i + 1} of ${reports.length}, ${each}` : each,
    ),
  );
  return {
    devices: reports[0]?.devices ?? [],
    results,
    ...(leftOut.length > 0 ? { leftOut } : {}),
    summary: summarise(results),
  };
}

/** What several shards have a part of, the random tests, fails where one of them fails. */
const worse = (before: ConformanceResult | undefined, row: ConformanceResult): ConformanceResult =>
  before === undefined || (before.status === 'pass' && row.status !== 'pass') ? row : before;

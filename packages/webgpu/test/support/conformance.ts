import type { ConformanceReport } from '@tutti/conformance';

/** Says what of the suite did not run. */
export function tell(where: string, report: ConformanceReport): void {
  for (const sentence of report.leftOut ?? []) console.log(`left out of the suite ${where}: ${sentence}`);
}

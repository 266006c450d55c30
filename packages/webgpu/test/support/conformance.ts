import { allModes, type ConformanceReport, type Mode } from '@tutti/conformance';

/** All modes that need a device. The oracle is judged where the reference backend is tested. */
export const deviceModes: readonly Mode[] = allModes.filter(
  (mode) => !['reference', 'derivative', 'second derivative'].includes(mode),
);

/** Says what of the suite did not run. */
export function tell(where: string, report: ConformanceReport): void {
  for (const sentence of report.leftOut ?? []) console.log(`left out of the suite ${where}: ${sentence}`);
}

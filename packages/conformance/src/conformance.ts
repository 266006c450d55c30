/** The suite as one call, for the tests of a backend. */
import { registerBackend } from '@tutti/core';
import { type BackendFactory, TuttiError } from '@tutti/core/backend';
import type { ConformanceReport } from './run/report.ts';
import { type ConformanceOptions, runConformance } from './run/suite.ts';
import { formatFailures } from './run/table.ts';

/** A backend that does not give what it should. The failures are in the message, the whole report in `received`. */
export class ConformanceError extends TuttiError {
  override get name(): string {
    return 'ConformanceError';
  }

  constructor(message: string, report: ConformanceReport) {
    super('TUTTI_CONFORMANCE', message, {
      received: report,
      fix: "run one case alone with filter: '<case>', and configure({ debug: 4 }) to see its kernels",
    });
  }
}

export interface BackendConformanceOptions extends Omit<ConformanceOptions, 'backends'> {
  /** The backend to test; it is registered under its name. */
  readonly backend: BackendFactory;
}

/**
 * Runs the suite on a backend and resolves to the report when all is well. In the backend's tests:
 *
 * @throws ConformanceError when a case fails, or when the backend is not available.
 *
 * @example
 * import { conformance } from '@tutti/conformance';
 * test('conforms', () => conformance({ backend: myBackend() }), 300_000);
 */
export async function conformance({
  backend,
  ...options
}: BackendConformanceOptions): Promise<ConformanceReport> {
  registerBackend(backend);
  const { report, exitCode } = await runConformance({ ...options, backends: [backend.name] });
  if (exitCode === 0) return report;
  throw new ConformanceError(`${backend.name} does not conform\n${formatFailures(report)}`, report);
}

import { interpreterBackend } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { faults, formatFaults, plantFaults } from '../src/index.ts';

describe('the suite', () => {
  it('catches every planted fault', async () => {
    const results = await plantFaults(interpreterBackend());
    const applicable = results.filter((result) => result.applicable);
    expect(
      applicable.filter(({ caught }) => !caught),
      formatFaults(results),
    ).toEqual([]);
    expect(applicable.length).toBeGreaterThanOrEqual(14);
    expect(results).toHaveLength(faults.length);
  }, 300_000);
});

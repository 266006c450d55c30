/** The training on a GPU, or on a driver that stands in for one. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { driverEnvironment } from '@tutti/testbed';
import { describe, expect, it } from 'vitest';
import { temporaryFolder, tutti } from './support.ts';

const driver = await driverEnvironment();

/** Twenty steps. */
const short = ['--train', '80', '--test', '20', '--epochs', '1', '--batch', '4', '--seed', '3'];

/** Sums are added up in another order, which is some units in the last place (1.2e-7) per step. */
const tolerance = 1e-4;

describe('tutti train mnist --device webgpu', () => {
  it('takes the same course as on the cpu', async () => {
    const folder = temporaryFolder();
    const [cpu, webgpu] = await Promise.all(
      ['cpu', 'webgpu'].map(async (device) => {
        const file = join(folder, `${device}.json`);
        const flags = ['--device', device, ...short, '--json', file];
        const { code, stderr } = await tutti(['train', 'mnist', ...flags], { env: driver });
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        return JSON.parse(readFileSync(file, 'utf8'));
      }),
    );
    expect(webgpu).toMatchObject({ device: 'webgpu', backend: 'webgpu' });
    expect(Math.abs(webgpu.testAccuracy - cpu.testAccuracy)).toBeLessThan(0.051); // one image of twenty
    expect(webgpu.losses).toHaveLength(20);
    for (const [i, loss] of webgpu.losses.entries()) {
      expect(Math.abs(loss / cpu.losses[i] - 1), `step ${i + 1}`).toBeLessThan(tolerance);
    }
  }, 120_000);

  it.runIf(process.platform === 'linux')(
    'says what `tutti doctor` says where there is no adapter, and takes no other device',
    async () => {
      const env = { ...driver, VK_ICD_FILENAMES: '/nowhere.json' };
      const report = JSON.parse((await tutti(['doctor', '--json'], { env })).stdout);
      const { available, reason, fix } = report.backends.find(
        ({ name }: { name: string }) => name === 'webgpu',
      );
      expect(available).toBe(false);
      const { code, stdout, stderr } = await tutti(['train', 'mnist', '--device', 'webgpu', ...short], {
        env,
      });
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      // The driver's loader has its say before that.
      const unavailable = `error [TUTTI_BACKEND_UNAVAILABLE]: device webgpu is not available: ${reason}`;
      expect(stderr.slice(stderr.indexOf('error ['))).toBe(`${unavailable}\n  fix: ${fix}\n`);
    },
  );
});

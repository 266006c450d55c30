/** The page in which one measurement is made. */
import { pageAdapters } from '../adapters/page.ts';
import { type Answer, type Assignment, carryOut } from '../carry-out.ts';
import { toText } from '../floats.ts';
import type { PagePlace } from '../suites.ts';

const refused: string[] = [];

/** WebGPU drops commands with an error in them, and is quick to do so: no time counts then, whoever's device it was. */
function watchDevices(): void {
  const adapter = globalThis.GPUAdapter?.prototype;
  if (!adapter) return;
  const { requestDevice } = adapter;
  adapter.requestDevice = async function (this: GPUAdapter, descriptor?: GPUDeviceDescriptor) {
    const device = await requestDevice.call(this, descriptor);
    device.addEventListener('uncapturederror', ({ error }) => refused.push(error.message));
    return device;
  };
}

/** The answer as JSON can hold it. */
async function measureHere(place: PagePlace, assignment: Assignment): Promise<object> {
  const answer = await carryOut(assignment, pageAdapters[place]);
  if (answer.status !== 'measured') return answer;
  if (refused.length > 0) return { status: 'failed', reason: `WebGPU: ${refused[0]}` } satisfies Answer;
  return answer.result ? { ...answer, result: toText(answer.result) } : answer;
}

watchDevices();
Object.assign(globalThis, { measureHere });

import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createProgress, type ProgressState } from '../src/progress.ts';

function stream(isTTY: boolean): { readonly stream: NodeJS.WriteStream; readonly text: () => string } {
  let text = '';
  const writable = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return {
    stream: Object.assign(writable, { isTTY, columns: 120 }) as unknown as NodeJS.WriteStream,
    text: () => text,
  };
}

const state = (step: number): ProgressState => ({
  step,
  epoch: 1,
  loss: 0.12345,
  imagesPerSecond: 1234.5,
  secondsLeft: 65,
});

const hideCursor = '\u001b[?25l';
const showCursor = '\u001b[?25h';

describe('without a terminal', () => {
  it('a line comes every so many steps, and for the last one', () => {
    const { stream: out, text } = stream(false);
    const progress = createProgress({ steps: 7, epochs: 2, stream: out, every: 3 });
    for (let step = 1; step <= 7; step++) progress.update(state(step));
    progress.close();
    expect(text()).toBe(
      [3, 6, 7].map((n) => `epoch 1/2  step ${n}/7  loss 0.1235  1235 images/s  1 min 05 s left\n`).join(''),
    );
  });
});

describe('on a terminal', () => {
  it('a bar shows the loss, the rate and the time left', () => {
    const { stream: out, text } = stream(true);
    const progress = createProgress({ steps: 2, epochs: 1, stream: out });
    progress.update(state(2));
    progress.close();
    expect(text()).toContain('2/2  epoch 1/1  loss 0.1235  1235 images/s  1 min 05 s left');
  });

  it('closing gives the cursor back, once', () => {
    const { stream: out, text } = stream(true);
    const progress = createProgress({ steps: 2, epochs: 1, stream: out });
    expect(text()).toContain(hideCursor);
    progress.close();
    progress.close();
    expect(text().split(showCursor).length).toBe(2);
    expect(text().lastIndexOf(showCursor)).toBeGreaterThan(text().lastIndexOf(hideCursor));
  });
});

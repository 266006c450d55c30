/** The state of a training for people: a bar where there is a terminal, plain lines elsewhere. */
import cliProgress from 'cli-progress';

export interface ProgressState {
  /** Steps done, of `steps`. */
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  readonly imagesPerSecond: number;
  readonly secondsLeft: number;
}

export interface Progress {
  update(state: ProgressState): void;
  /** Gives the terminal back as it was. May be called at any time, and twice. */
  close(): void;
}

export interface ProgressOptions {
  readonly steps: number;
  readonly epochs: number;
  readonly stream: NodeJS.WriteStream;
  /** Without a terminal, a line comes every so many steps. Default 50. */
  readonly every?: number;
}

export function createProgress(options: ProgressOptions): Progress {
  return options.stream.isTTY ? bar(options) : lines(options);
}

const format = '{bar} {value}/{total}  epoch {epoch}  loss {loss}  {rate} images/s  {left} left';

function bar({ steps, epochs, stream }: ProgressOptions): Progress {
  const single = new cliProgress.SingleBar(
    // Interrupts are the caller's: they have files to finish and an exit code to keep.
    { format, stream, hideCursor: true, gracefulExit: false, barsize: 30, fps: 10, noTTYOutput: false },
    cliProgress.Presets.shades_classic,
  );
  single.start(steps, 0, { epoch: `1/${epochs}`, loss: '-', rate: '-', left: '-' });
  return {
    update: ({ step, epoch, loss, imagesPerSecond, secondsLeft }) =>
      single.update(step, {
        epoch: `${epoch}/${epochs}`,
        loss: loss.toFixed(4),
        rate: imagesPerSecond.toFixed(0),
        left: duration(secondsLeft),
      }),
    close: () => single.stop(),
  };
}

function lines({ steps, epochs, stream, every = 50 }: ProgressOptions): Progress {
  return {
    update: ({ step, epoch, loss, imagesPerSecond, secondsLeft }) => {
      if (step % every !== 0 && step !== steps) return;
      stream.write(
        `epoch ${epoch}/${epochs}  step ${step}/${steps}  loss ${loss.toFixed(4)}  ` +
          `${imagesPerSecond.toFixed(0)} images/s  ${duration(secondsLeft)} left\n`,
      );
    },
    close: () => undefined,
  };
}

/** `42 s`, `3 min 05 s`. */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

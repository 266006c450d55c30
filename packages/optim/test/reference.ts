/** The updates of PyTorch's documentation in double precision, for one parameter at a time. */

export interface SgdOptions {
  readonly lr: number;
  readonly momentum?: number;
  readonly dampening?: number;
  readonly nesterov?: boolean;
  readonly weightDecay?: number;
}

export interface AdamOptions {
  readonly lr: number;
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly weightDecay?: number;
}

/** Takes the gradient of a parameter and changes the parameter. */
export type Update = (parameter: number[], gradient: readonly number[], lr?: number) => void;

export function sgd(options: SgdOptions): Update {
  const { momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = options;
  let buffer: number[] | undefined;
  return (parameter, gradient, lr = options.lr) => {
    const g = gradient.map((each, i) => each + weightDecay * parameter[i]!);
    const previous = buffer;
    buffer = previous ? previous.map((b, i) => momentum * b + (1 - dampening) * g[i]!) : [...g];
    for (const i of parameter.keys()) {
      const step = momentum === 0 ? g[i]! : nesterov ? g[i]! + momentum * buffer[i]! : buffer[i]!;
      parameter[i]! -= lr * step;
    }
  };
}

export function adam(options: AdamOptions, decoupled = false): Update {
  const { betas = [0.9, 0.999], eps = 1e-8, weightDecay = decoupled ? 0.01 : 0 } = options;
  let t = 0;
  const m: number[] = [];
  const v: number[] = [];
  return (parameter, gradient, lr = options.lr) => {
    t++;
    for (const i of parameter.keys()) {
      if (decoupled) parameter[i]! *= 1 - lr * weightDecay;
      const g = gradient[i]! + (decoupled ? 0 : weightDecay * parameter[i]!);
      m[i] = betas[0] * (m[i] ?? 0) + (1 - betas[0]) * g;
      v[i] = betas[1] * (v[i] ?? 0) + (1 - betas[1]) * g * g;
      const mean = m[i]! / (1 - betas[0] ** t);
      const square = v[i]! / (1 - betas[1] ** t);
      parameter[i]! -= (lr * mean) / (Math.sqrt(square) + eps);
    }
  };
}

export function distance(received: ArrayLike<number>, expected: readonly number[]): number {
  const scale = Math.max(1e-30, ...expected.map(Math.abs));
  const errors = expected.map((value, i) => Math.abs(value - received[i]!) / scale);
  return errors.every(Number.isFinite) ? Math.max(0, ...errors) : Number.POSITIVE_INFINITY;
}

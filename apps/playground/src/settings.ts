/** What the address asks for: `?device=webgl&epochs=2`. */
import { ArgumentError } from 'tutti';
import { type ModelName, models } from './models.ts';
import { partSizes } from './slices.ts';

export interface Settings {
  /** The id of a device, or `auto`. */
  readonly device: string;
  readonly model: ModelName;
  readonly epochs: number;
  /** Training images. */
  readonly train: number;
  /** Test images. */
  readonly test: number;
  /** Images of a step. */
  readonly batch: number;
}

/** What a page without parameters does: some seconds on a GPU, and not long on a phone. */
export const defaults: Settings = {
  device: 'auto',
  model: 'cnn',
  epochs: 3,
  train: 6000,
  test: 1000,
  batch: 64,
};

/** From 1 up to these. */
export const largest = { epochs: 100, train: partSizes.train, test: partSizes.test, batch: 1000 } as const;

/** @param search The part of the address from the question mark on. @throws ArgumentError for a name or a value that is none. */
export function readSettings(search: string): Settings {
  const parameters = new URLSearchParams(search);
  for (const name of parameters.keys()) {
    if (!Object.hasOwn(defaults, name)) {
      const known = Object.keys(defaults).map((each) => `?${each}=`);
      throw refused(name, parameters.get(name)!, `the page knows ${known.join(', ')}`);
    }
  }
  const count = (name: keyof typeof largest): number => {
    const text = parameters.get(name) ?? String(defaults[name]);
    if (/^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= largest[name]) return Number(text);
    throw refused(name, text, `${name} is an integer from 1 to ${largest[name]}`);
  };
  return {
    device: deviceOf(parameters.get('device') ?? defaults.device),
    model: modelOf(parameters.get('model') ?? defaults.model),
    epochs: count('epochs'),
    train: count('train'),
    test: count('test'),
    batch: count('batch'),
  };
}

function deviceOf(id: string): string {
  if (id !== '') return id;
  throw refused('device', id, 'device is the id of one, such as webgl, or auto');
}

function modelOf(name: string): ModelName {
  if (Object.hasOwn(models, name)) return name as ModelName;
  throw refused('model', name, `model is one of ${Object.keys(models).join(', ')}`);
}

const refused = (name: string, value: string, fix: string): ArgumentError =>
  new ArgumentError(`the address says ${name}=${value}`, { received: value, fix });

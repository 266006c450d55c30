import { TuttiError } from 'tutti';
import type { Taken } from './device.ts';
import { defaults, largest, type Settings } from './settings.ts';
import type { Progress } from './training.ts';

const element = <T extends HTMLElement = HTMLElement>(id: string): T => document.getElementById(id) as T;

/** Tests and style sheets ask for it as `data-state` of the body. */
export function showState(state: 'training' | 'done' | 'failed'): void {
  document.body.dataset['state'] = state;
}

/** The form says what the address says, right or wrong, so that it can be put right there. */
export function fillForm(search: string): void {
  const parameters = new URLSearchParams(search);
  const form = document.forms[0]!;
  for (const name of Object.keys(defaults) as (keyof Settings)[]) {
    const field = form.elements.namedItem(name) as HTMLInputElement | HTMLSelectElement;
    const value = parameters.get(name) ?? String(defaults[name]);
    if (field instanceof HTMLInputElement) field.max = String(largest[name as keyof typeof largest]);
    else if (![...field.options].some((option) => option.value === value)) field.add(new Option(value));
    field.value = value;
  }
}

export function showDevice({ id, description, because, passedOver }: Taken): void {
  element('device').textContent = `${id}: ${description} (${because})`;
  element('passed-over').replaceChildren(
    ...passedOver.map(({ backend, reason, fix }) => {
      const item = document.createElement('li');
      item.textContent = `not ${backend}: ${reason} (to have it: ${fix})`;
      return item;
    }),
  );
}

export function showProgress(progress: Progress, { epochs, test }: Settings): void {
  const { step, steps, epoch, loss, imagesPerSecond, correct } = progress;
  element('step').textContent = `${step} of ${steps}, epoch ${epoch} of ${epochs}`;
  element('loss').textContent = loss.toFixed(4);
  if (imagesPerSecond) element('speed').textContent = imagesPerSecond.toFixed(0);
  const bar = element<HTMLProgressElement>('progress');
  bar.max = steps;
  bar.value = step;
  if (correct === undefined) return;
  element('accuracy').textContent = `${((100 * correct) / test).toFixed(2)} % (${correct}/${test})`;
}

/** What went wrong, and what to do about it. */
export function showError(error: unknown): void {
  const fix = TuttiError.isInstance(error) ? error.fix : undefined;
  const message = error instanceof Error ? error.message : String(error);
  element('reason').textContent = fix ? message.replace(`\n  fix: ${fix}`, '') : message;
  element('fix').textContent = fix ?? '';
  element('error').hidden = false;
  showState('failed');
}

import './style.css';
import { takeDevice } from './device.ts';
import { readSettings } from './settings.ts';
import { runTraining } from './training.ts';
import { fillForm, showDevice, showError, showProgress, showState } from './view.ts';

/** The page is drawn, and taps are heard, between steps. */
const frame = 50;

async function main(): Promise<void> {
  const settings = readSettings(location.search);
  showState('training');
  showDevice(await takeDevice(settings.device));
  let drawn = 0;
  for await (const progress of runTraining(settings)) {
    showProgress(progress, settings);
    if (performance.now() - drawn < frame) continue;
    await new Promise((resolve) => setTimeout(resolve));
    drawn = performance.now();
  }
  showState('done');
}

fillForm(location.search);
main().catch(showError);

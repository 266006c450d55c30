/** What the test of images asks the page to do. */
import { registerBackend, setDefaultDevice } from '@tutti/core';
import { imageChecks } from '@tutti/testbed/images';
import { createWebglBackend, fromImage, toCanvas } from '../../src/index.ts';

registerBackend(createWebglBackend());
const ready = setDefaultDevice('webgl');

const checks = imageChecks({ ready, fromImage, toCanvas, otherContext: 'webgl2' });

Object.assign(globalThis, { checks });
export type Checks = typeof checks;

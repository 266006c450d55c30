/** `node --import .../use-driver.js PROGRAM` gives a program of this repository a Vulkan driver. */
import { pollGently } from './poll.ts';
import { useDriver } from './vulkan.ts';

if (await useDriver()) pollGently();

export { type OpenPage, openPage } from './chromium.ts';
export { pollGently } from './poll.ts';
export { driverEnvironment, useDriver } from './vulkan.ts';

export { type OpenPage, openPage } from './chromium.ts';
export { pollGently } from './poll.ts';
export { tellLeftOut } from './tell.ts';
export { driverEnvironment, useDriver } from './vulkan.ts';

/** Drivers of GPUs that compute on the processor, by what they call themselves. */
const names = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|warp/i;

export const isSoftwareDriver = (description: string): boolean => names.test(description);

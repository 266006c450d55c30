import { isSoftwareDriver } from '@tutti/core/backend';

/** "google, swiftshader, software" or "NVIDIA H200 (nvidia, hopper)": what an adapter is, in the words of this library. */
export function describeAdapter(info: GPUAdapterInfo): string {
  const family = [info.vendor, info.architecture].filter(Boolean).join(', ');
  const name = info.description || info.device;
  const isSoftware = info.isFallbackAdapter || isSoftwareDriver(`${family} ${name}`);
  return `${name ? `${name} (${family})` : family}${isSoftware ? ', software' : ''}`;
}

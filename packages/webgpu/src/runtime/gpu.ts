/** Where WebGPU comes from: the browser, or Dawn in Node. */
import { environment, hasLibrary, isNode, platform } from './host.ts';

/** Why there is no GPU, and what a person can do about it. */
export interface Absent {
  readonly reason: string;
  readonly fix: string;
}

/** What Node's `webgpu` package exports. */
interface DawnPackage {
  readonly create: (options: string[]) => GPU;
}

/** Flags that Dawn is started with in Node. Timestamps are made coarse for the sake of web pages, which is not needed here. */
const dawnFlags: readonly string[] = ['disable-dawn-features=timestamp_quantization'];

/** One instance for each set of flags: Dawn's instance must outlive what was made from it. */
const instances = new Map<string, GPU>();

/** The `GPU` object of this environment. `flags` go to Dawn, in Node, after its defaults. */
export async function findGpu(flags: readonly string[] = []): Promise<GPU | Absent> {
  const inBrowser = (globalThis.navigator as { gpu?: GPU } | undefined)?.gpu;
  if (inBrowser) return inBrowser;
  if (!isNode) return noWebgpuHere();
  const all = mergeFlags([...dawnFlags, ...flags]);
  const key = all.join('\n');
  let gpu = instances.get(key);
  if (gpu) return gpu;
  try {
    const dawn = (await importPackage('webgpu')) as DawnPackage;
    // Dawn finds this out as well, and then prints what it thinks of it.
    const needsVulkan = platform === 'linux' && !flags.some((flag) => flag.startsWith('backend='));
    if (needsVulkan && !hasLibrary(vulkan)) return noVulkan();
    gpu = dawn.create(all);
  } catch (error) {
    return dawnIsMissing(error);
  }
  instances.set(key, gpu);
  return gpu;
}

/** Dawn takes the last of several lists of features; here they are one. */
function mergeFlags(flags: readonly string[]): string[] {
  const merged = new Map<string, string>();
  for (const flag of flags) {
    const [, name = flag, features] = /^((?:en|dis)able-dawn-features)=(.*)$/.exec(flag) ?? [];
    const others = merged.get(name);
    merged.set(
      name,
      features === undefined ? flag : others ? `${others},${features}` : `${name}=${features}`,
    );
  }
  return [...merged.values()];
}

/** The name is not written into the `import`, so that a bundler for the browser does not look for the package. */
const importPackage = (name: string): Promise<unknown> =>
  import(/* @vite-ignore */ /* webpackIgnore: true */ name);

function dawnIsMissing(error: unknown): Absent {
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { readonly code?: unknown } | null)?.code;
  if (code === 'ERR_MODULE_NOT_FOUND' && /package 'webgpu'/.test(message)) {
    return {
      reason: 'Node has no WebGPU of its own, and the package webgpu is not installed',
      fix: 'npm install webgpu',
    };
  }
  return {
    reason: `the package webgpu is installed but does not load: ${message.split('\n')[0]}`,
    fix: 'npm install webgpu again, on the system and processor that runs it',
  };
}

function noWebgpuHere(): Absent {
  if (globalThis.isSecureContext === false) {
    return {
      reason: 'browsers offer WebGPU only to secure pages',
      fix: 'serve the page over https, or open it from localhost',
    };
  }
  return {
    reason: 'this browser has no WebGPU',
    fix: 'use Chrome or Edge 113, Safari 26, Firefox 141 or later; on Linux, chrome://flags/#enable-unsafe-webgpu may be needed',
  };
}

/** An adapter. Every call gives a new one, because an adapter makes one device only. */
export async function findAdapter(
  gpu: GPU,
  powerPreference: GPUPowerPreference | undefined,
): Promise<GPUAdapter | Absent> {
  const options: GPURequestAdapterOptions = powerPreference ? { powerPreference } : {};
  try {
    const adapter =
      (await gpu.requestAdapter(options)) ?? (await gpu.requestAdapter({ forceFallbackAdapter: true }));
    return adapter ?? noAdapter();
  } catch (error) {
    const { fix } = noAdapter();
    return { reason: `asking for an adapter failed: ${error instanceof Error ? error.message : error}`, fix };
  }
}

const vulkan = 'libvulkan.so.1';
const vulkanFix =
  'install a Vulkan driver (NVIDIA: its driver package; AMD, Intel: mesa-vulkan-drivers) and libvulkan1, and check them with ' +
  'vulkaninfo; VK_ICD_FILENAMES names the json file of a driver that is not found, such as that of SwiftShader';

const noVulkan = (): Absent => ({ reason: `the Vulkan library ${vulkan} was not found`, fix: vulkanFix });

function noAdapter(): Absent {
  if (!isNode) {
    return {
      reason: 'the browser has WebGPU, but gives no adapter for this machine',
      fix: 'switch hardware acceleration on, update the GPU driver, and look at chrome://gpu (about:support in Firefox)',
    };
  }
  // Where a file is named, no other driver is looked for.
  const named = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'].find((name) => environment(name));
  const only = platform === 'linux' && named ? `; ${named} is ${environment(named)}` : '';
  const reason = `no GPU driver that WebGPU can use was found${only}`;
  return { reason, fix: platform === 'linux' ? vulkanFix : 'update the GPU driver' };
}

export const isAbsent = (value: object): value is Absent => 'reason' in value && 'fix' in value;

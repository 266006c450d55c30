/** What an adapter or a device says of itself, in the contract's words. */
import {
  type Capabilities,
  type DeviceInfo,
  defaultCapabilities,
  isSoftwareDriver,
} from '@tutti/core/backend';
import type { ShaderFeatures } from '../program.ts';

/** The limits that matter here. */
export type LimitName =
  | 'maxBufferSize'
  | 'maxStorageBufferBindingSize'
  | 'maxStorageBuffersPerShaderStage'
  | 'maxComputeWorkgroupStorageSize'
  | 'maxComputeInvocationsPerWorkgroup'
  | 'maxComputeWorkgroupSizeX'
  | 'maxComputeWorkgroupSizeY'
  | 'maxComputeWorkgroupSizeZ'
  | 'maxComputeWorkgroupsPerDimension';
export type Limits = Readonly<Record<LimitName, number>>;

/** What every WebGPU device has at least. */
export const defaultLimits: Limits = {
  maxBufferSize: 256 * 1024 * 1024,
  maxStorageBufferBindingSize: 128 * 1024 * 1024,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16 * 1024,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
};

export const limitNames: readonly LimitName[] = Object.keys(defaultLimits) as LimitName[];

/** Optional features that are used where they are. */
export const usefulFeatures: readonly GPUFeatureName[] = ['subgroups', 'timestamp-query'];

/** An adapter or a device, as far as it describes itself. */
export interface Described {
  readonly info: GPUAdapterInfo | undefined;
  readonly limits: Limits;
  readonly features: ReadonlySet<string>;
}

/** `pretendDefaults`: as if there were nothing beyond what every device has. */
export function described(
  source: GPUAdapter | GPUDevice,
  info: GPUAdapterInfo | undefined,
  pretendDefaults: boolean,
): Described {
  if (pretendDefaults) return { info, limits: defaultLimits, features: new Set() };
  const limits = Object.fromEntries(limitNames.map((name) => [name, source.limits[name]])) as Limits;
  return {
    info,
    limits,
    features: new Set(usefulFeatures.filter((feature) => source.features.has(feature))),
  };
}

export function isSoftware(info: GPUAdapterInfo | undefined): boolean {
  if (!info) return false;
  const names = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return info.isFallbackAdapter === true || isSoftwareDriver(names);
}

/** "NVIDIA H200 (nvidia, hopper)" or, where the browser hides the name, "apple, metal-3". */
function nameOf(info: GPUAdapterInfo | undefined): string {
  const family = [info?.vendor, info?.architecture].filter(Boolean).join(', ');
  const name = info?.description || info?.device;
  if (!name) return family || 'a GPU that does not tell its name';
  return family ? `${name} (${family})` : name;
}

export function describeDevice({ info, limits, features }: Described): DeviceInfo {
  const emulated = isSoftware(info);
  const extras = usefulFeatures.filter((feature) => features.has(feature));
  const parts = [nameOf(info), emulated ? 'software' : '', ...extras];
  return { description: parts.filter(Boolean).join(', '), emulated, capabilities: capabilitiesOf(limits) };
}

/** Byte offsets inside a buffer stay below 2^31, so that index arithmetic may be signed. */
const mostBytes = 2 ** 31 - 16;

function capabilitiesOf(limits: Limits): Capabilities {
  const bytes = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize, mostBytes);
  return {
    ...defaultCapabilities,
    buffersPerKernel: limits.maxStorageBuffersPerShaderStage,
    bytesPerBuffer: bytes - (bytes % 16),
    rowPrograms: true,
    multipleOutputs: true,
    scatterStores: true,
    parallelism: 256,
    reduceSplit: 4096,
    syncRead: false,
    timing: true,
  };
}

export function shaderFeaturesOf(
  { info, limits, features }: Described,
  exactHalves: boolean,
): ShaderFeatures {
  const subgroups = features.has('subgroups');
  return {
    exactHalves,
    subgroups,
    subgroupMinSize: subgroups ? (info?.subgroupMinSize ?? 4) : 0,
    subgroupMaxSize: subgroups ? (info?.subgroupMaxSize ?? 128) : 0,
    maxStorageBuffers: limits.maxStorageBuffersPerShaderStage,
    maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupBytes: limits.maxComputeWorkgroupStorageSize,
    maxWorkgroups: limits.maxComputeWorkgroupsPerDimension,
    software: isSoftware(info),
  };
}

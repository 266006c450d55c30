/** Extents of what padding and windows make of an axis. */

/** Number of windows that fit: (extent - (size-1)*dilation - 1) / step + 1, at least 0. */
export function windowCount(extent: number, size: number, step: number, dilation: number): number {
  return Math.max(0, Math.floor((extent - (size - 1) * dilation - 1) / step) + 1);
}

/** Extent of an axis after `pad`. */
export function paddedExtent(extent: number, low: number, high: number, interior: number): number {
  return low + high + extent + Math.max(0, extent - 1) * interior;
}

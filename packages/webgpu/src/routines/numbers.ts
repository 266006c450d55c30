/** Sizes and counts. */
export { ceilDiv, product, range, roundUp } from '@tutti/core/backend';

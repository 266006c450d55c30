/** What goes between a test and its page, as JSON can hold it. */

/** Bytes, two digits each: base64 knows no typed arrays in all engines. */
export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export const fromHex = (text: string): Uint8Array =>
  Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));

/** Numbers with NaN, -0 and the infinities. */
export const toText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

export const fromText = (text: string): number => Number(text);

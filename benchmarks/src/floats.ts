/** Results on their way out of a page, where only text goes. */

/** The bytes of the values in base64. */
export function toText(values: Float32Array): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const parts: string[] = [];
  const most = 0x6000; // a multiple of 3, and few enough to be arguments of a function
  for (let i = 0; i < bytes.length; i += most) {
    parts.push(btoa(String.fromCharCode(...bytes.subarray(i, i + most))));
  }
  return parts.join('');
}

export function fromText(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);
}

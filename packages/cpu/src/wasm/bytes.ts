/** Bytes of a WebAssembly module, growing. Numbers are written as the binary format wants them. */
export class ByteWriter {
  readonly bytes: number[] = [];

  byte(value: number): void {
    this.bytes.push(value & 0xff);
  }

  /** A loop and not a spread: large functions would overflow the argument list. */
  append(values: ArrayLike<number>): void {
    for (let i = 0; i < values.length; i++) this.bytes.push(values[i]!);
  }

  /** LEB128 of an unsigned 32-bit number; values above 2^31 are welcome (addresses, offsets). */
  u32(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.bytes.push((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.bytes.push(rest);
  }

  /** Signed LEB128. Any number that fits 32 bits, signed or not: both spellings of the same bits give the same bytes. */
  s32(value: number): void {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      // The last byte's bit 6 is the sign, so stop only when the rest is that sign repeated.
      if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) {
        this.bytes.push(low);
        return;
      }
      this.bytes.push(low | 0x80);
    }
  }

  s64(value: bigint): void {
    let rest = BigInt.asIntN(64, value);
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
        this.bytes.push(low);
        return;
      }
      this.bytes.push(low | 0x80);
    }
  }

  f32(value: number): void {
    this.append(new Uint8Array(new Float32Array([value]).buffer));
  }

  f64(value: number): void {
    this.append(new Uint8Array(new Float64Array([value]).buffer));
  }

  name(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.u32(utf8.length);
    this.append(utf8);
  }

  /** A section: its id, its length, its content. */
  section(id: number, content: ByteWriter): void {
    this.byte(id);
    this.u32(content.bytes.length);
    this.append(content.bytes);
  }
}

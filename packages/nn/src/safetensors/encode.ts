import { ArgumentError, type DType, InternalError, Tensor } from '@tutti/core';
import { toBfloat16Bits, toFloat16Bits } from '@tutti/core/backend';
import { bytesOf, fileDTypes } from './dtype.ts';
import { encodeHeader, type Header, type Metadata, type TensorEntry } from './header.ts';

/** Tensors by name. */
export type TensorDict = Readonly<Record<string, Tensor>>;

/**
 * The tensors of a state dict in the safetensors format, with any texts in `metadata`.
 *
 * All dtypes are kept: F32, F16, BF16, I32, U32, U8, BOOL. Wider elements come first, then by name, so that the same dict
 * gives the same bytes.
 *
 * @throws ArgumentError for a value that is not a tensor, a text that is not one, or the reserved name `__metadata__`.
 * @example const bytes = await encodeSafetensors(model.stateDict());
 */
export async function encodeSafetensors(dict: TensorDict, metadata: Metadata = {}): Promise<Uint8Array> {
  const header = planHeader(dict, metadata);
  const first = encodeHeader(header);
  const bytes = new Uint8Array(first.length + (header.entries.at(-1)?.end ?? 0));
  let position = 0;
  for await (const part of encodeParts(dict, header)) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

/** The bytes of a file piece by piece: the header, then one tensor after the other. */
export async function* encodeParts(
  dict: TensorDict,
  header: Header,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield encodeHeader(header);
  for (const { name, begin, end } of header.entries) {
    const bytes = await bytesOfTensor(dict[name]!);
    if (bytes.length !== end - begin) {
      throw new InternalError(
        `encodeSafetensors: '${name}' gave ${bytes.length} bytes, ${end - begin} expected`,
      );
    }
    yield bytes;
  }
}

/** Says where each tensor will lie. */
export function planHeader(dict: TensorDict, metadata: Metadata = {}): Header {
  for (const [name, value] of Object.entries(dict)) checkTensor(name, value);
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value === 'string') continue;
    throw new ArgumentError(`encodeSafetensors: metadata '${key}' is not a text`, {
      op: 'encodeSafetensors',
      received: value,
      fix: 'the format takes texts alone: String(value) or JSON.stringify(value)',
    });
  }
  const tensors = Object.entries(dict).map(([name, { dtype, shape, size }]) => {
    const code = fileDTypes[dtype];
    const width = bytesOf(code, name);
    return { name, dtype: code, shape, width, bytes: size * width };
  });
  tensors.sort((a, b) => b.width - a.width || (a.name < b.name ? -1 : 1));
  let position = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }): TensorEntry => {
    const begin = position;
    position += bytes;
    return { name, dtype, shape, begin, end: position };
  });
  return { entries, metadata };
}

function checkTensor(name: string, value: unknown): void {
  if (name === '__metadata__') {
    throw new ArgumentError("encodeSafetensors: a tensor cannot be named '__metadata__'", {
      op: 'encodeSafetensors',
      received: name,
      fix: 'the format keeps this name for itself; choose another one',
    });
  }
  if (value instanceof Tensor) return;
  throw new ArgumentError(`encodeSafetensors: '${name}' is not a tensor`, {
    op: 'encodeSafetensors',
    received: value,
    fix: holdsTensors(value)
      ? `it has tensors by name: pass those, dict.${name}; of an optimiser's state that is optimizer.stateDict().tensors, and its numbers are kept as JSON`
      : 'pass a record of tensors, such as model.stateDict()',
  });
}

const holdsTensors = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.values(value).some((each) => each instanceof Tensor);

const halfBits: Partial<Record<DType, (value: number) => number>> = {
  float16: toFloat16Bits,
  bfloat16: toBfloat16Bits,
};

async function bytesOfTensor(tensor: Tensor): Promise<Uint8Array> {
  const data = await tensor.data();
  const toBits = halfBits[tensor.dtype];
  const stored = toBits && !(data instanceof Uint16Array) ? Uint16Array.from(data, toBits) : data;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

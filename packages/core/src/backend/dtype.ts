import { DTypeError } from './errors.ts';
import { closestName } from './suggest.ts';

/**
 * Element types that a buffer can hold.
 *
 * `float32 int32 uint32 uint8 bool` are computed in their own type. `float16` and `bfloat16` are storage
 * formats: arithmetic on them runs in float32 and rounds (to nearest, ties to even) when it is stored.
 */
export type DType = 'float32' | 'float16' | 'bfloat16' | 'int32' | 'uint32' | 'uint8' | 'bool';

/** The type of a value inside a kernel. A load widens to it, a store narrows from it. */
export type ScalarType = 'f32' | 'i32' | 'u32' | 'bool';

/** What is known about one dtype. The kinds are ordered for promotion: bool < integer < float. */
export interface DTypeInfo {
  readonly bytes: number;
  readonly scalar: ScalarType;
  readonly kind: 'bool' | 'integer' | 'float';
}

export const dtypeInfo: Readonly<Record<DType, DTypeInfo>> = {
  float32: { bytes: 4, scalar: 'f32', kind: 'float' },
  float16: { bytes: 2, scalar: 'f32', kind: 'float' },
  bfloat16: { bytes: 2, scalar: 'f32', kind: 'float' },
  int32: { bytes: 4, scalar: 'i32', kind: 'integer' },
  uint32: { bytes: 4, scalar: 'u32', kind: 'integer' },
  uint8: { bytes: 1, scalar: 'u32', kind: 'integer' },
  bool: { bytes: 1, scalar: 'bool', kind: 'bool' },
};

export const dtypes: readonly DType[] = Object.keys(dtypeInfo) as DType[];

export const isFloat = (dtype: DType): boolean => dtypeInfo[dtype].kind === 'float';
export const isInteger = (dtype: DType): boolean => dtypeInfo[dtype].kind === 'integer';

/** What dtypes are called elsewhere, by the one that is meant or comes next to it. */
const otherNames: Readonly<Record<DType, readonly string[]>> = {
  float32: ['float', 'double', 'number', 'f32', 'f64', 'fp32', 'fp64', 'float64'],
  float16: ['half', 'f16', 'fp16'],
  bfloat16: ['bf16'],
  int32: ['int', 'integer', 'long', 'short', 'bigint', 'i8', 'i16', 'i32', 'i64', 'int8', 'int16', 'int64'],
  uint32: ['uint', 'u16', 'u32', 'u64', 'uint16', 'uint64'],
  uint8: ['byte', 'u8'],
  bool: ['boolean'],
};

function dtypeMeant(value: unknown): DType | undefined {
  if (typeof value !== 'string') return undefined;
  const name = value.toLowerCase().replace(/^.*\./, ''); // also torch.float32
  const meant = dtypes.find((dtype) => otherNames[dtype].includes(name)) ?? closestName(name, dtypes);
  return meant as DType | undefined;
}

/** Throws {@link DTypeError} when `value` is not one of the dtypes above; returns it otherwise. */
export function checkDType(value: unknown, where: string): DType {
  if (typeof value === 'string' && Object.hasOwn(dtypeInfo, value)) return value as DType;
  const meant = dtypeMeant(value);
  const wide = /64|double|long/i.test(String(value)) ? '; there are no 64-bit ones' : '';
  throw new DTypeError(`${where}: dtype ${JSON.stringify(value)} is not supported`, {
    op: where,
    received: value,
    fix: `${meant ? `did you mean ${meant}? ` : ''}The dtypes are ${dtypes.join(', ')}${wide}`,
  });
}

/**
 * The dtype of `a op b` for two tensors, by NumPy's and PyTorch's rules where those agree.
 *
 * bool gives way to any number, integers give way to floats, a 16-bit float gives way to float32, and the
 * two different 16-bit floats meet in float32. uint8 widens to int32 or uint32. int32 with uint32 would need
 * int64, which does not exist here, so it is an error rather than a silent wrap.
 *
 * @throws DTypeError for int32 with uint32.
 */
export function promote(a: DType, b: DType, where = 'promote'): DType {
  if (a === b) return a;
  const kindA = dtypeInfo[a].kind;
  const kindB = dtypeInfo[b].kind;
  if (kindA !== kindB) {
    const order = { bool: 0, integer: 1, float: 2 };
    return order[kindA] > order[kindB] ? a : b;
  }
  if (kindA === 'float') return 'float32';
  if (a === 'uint8') return b;
  if (b === 'uint8') return a;
  throw new DTypeError(`${where}: int32 and uint32 have no common dtype (it would be int64)`, {
    op: where,
    received: [a, b],
    fix: "cast one side first, for example x.cast('int32')",
  });
}

/**
 * Matrix products by cuBLASLt, where it is there.
 *
 *     out[b, m, n] = epilogue(sum_k lhs[b, m, k] * rhs[b, k, n])
 *
 * It takes operands of one type (float32, float16, bfloat16) whose rows or columns are contiguous, and batches at even distances. Sums are
 * float32. Two variants: without an epilogue, or with a bias for each column, the library stores the result; any other epilogue is a
 * kernel of ours over sums in the workspace, and so is a conversion that the library does not have. What the library offers beyond that
 * is not ours to the last bit: of its ReLU nobody says that NaN stays NaN, and its GELU is an approximation of an approximation.
 */
import {
  type DotAnchor,
  type DType,
  dtypeInfo,
  type Expression,
  matrices,
  type Product,
  type ProductOperand,
  resultBuffer,
  roundUp,
} from '@tutti/core/backend';
import type { ProductOperand as LibraryOperand, ProductDescription, ProductType } from '../native/binding.ts';
import type { CudaFeatures, CudaProgram, ProductStage, StagePointer } from '../program.ts';
import { assemble, finishStages, mostWorkspaceBytes } from './finish.ts';

/** Fewer products than this are done before a call of the library has begun; and a tile of it has at least so many rows. */
const leastProducts = 2 ** 22;
const leastExtent = 16;
/** Sums that pass memory on their way cost as much as some hundred steps of the contraction. */
const leastStepsWithSums = 512;

/** What NVIDIA recommends: more from Hopper on. */
const scratchBytes = ({ computeCapability }: CudaFeatures): number =>
  (computeCapability >= 90 ? 32 : 4) * 2 ** 20;

/** Whether a product is large enough for the library to pay. */
export function paysForLibrary(product: Product, features: CudaFeatures): boolean {
  const { m, n, k } = product;
  if (!features.blas || Math.min(m, n, k) < leastExtent || matrices(product) * m * n * k < leastProducts)
    return false;
  const form = formOf(product);
  return form !== undefined && (form.isDirect || k >= leastStepsWithSums);
}

/** @param otherwise What runs where the library has no algorithm. */
export function libraryProgram(
  product: Product,
  features: CudaFeatures,
  otherwise: CudaProgram | undefined,
): CudaProgram | undefined {
  const form = formOf(product);
  if (!form) return undefined;
  const { anchor, m, n } = product;
  const { isDirect, bias, operands, sumsBytes } = form;
  const description: ProductDescription = {
    operandType: form.operandType,
    resultType: isDirect ? (dtypeOf(anchor, resultBuffer(anchor)) as ProductType) : 'float32',
    tf32: form.operandType === 'float32' && features.tf32,
    batches: matrices(product),
    m,
    n,
    k: product.k,
    lhs: operands[0],
    rhs: operands[1],
    resultAlignment: mostAlignment,
    bias: isDirect && bias !== undefined,
    workspaceBytes: scratchBytes(features),
  };
  const stage: ProductStage = {
    kind: 'product',
    product: description,
    lhs: pointerTo(product.lhs),
    rhs: pointerTo(product.rhs),
    result: isDirect ? { kind: 'buffer', index: resultBuffer(anchor) } : { kind: 'workspace', byteOffset: 0 },
    bias: description.bias ? { kind: 'buffer', index: bias! } : undefined,
    scratch: { kind: 'workspace', byteOffset: sumsBytes },
  };
  const finish = isDirect ? [] : finishStages(anchor, features, 1);
  const bytes = sumsBytes + description.workspaceBytes;
  const program = assemble(anchor, [stage, ...finish], bytes, 'cuBLASLt');
  return otherwise ? { ...program, otherwise } : program;
}

/** A product in the library's terms. */
interface Form {
  readonly operandType: ProductType;
  readonly operands: readonly [LibraryOperand, LibraryOperand];
  /** The library stores the result itself. */
  readonly isDirect: boolean;
  /** Of those that come before an epilogue of ours, at the start of the workspace. */
  readonly sumsBytes: number;
  /** The buffer of a bias that it adds. */
  readonly bias: number | undefined;
}

const isProductType = (dtype: DType): dtype is ProductType =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';

/** Undefined where the library does not take it. */
function formOf(product: Product): Form | undefined {
  const { anchor, m, n, k, lhs, rhs } = product;
  // Of a dimension of one the stride says nothing; and products of vectors are for other kernels.
  if (Math.min(m, n, k) < 2 || lhs.dtype !== rhs.dtype || !isProductType(lhs.dtype)) return undefined;
  const left = libraryOperand(lhs, m, k, product.batch);
  const right = libraryOperand(rhs, k, n, product.batch);
  if (!left || !right) return undefined;
  const result = dtypeOf(anchor, resultBuffer(anchor));
  const bias = biasOf(anchor, n);
  const isPlain = anchor.epilogue === undefined || isSum(anchor.epilogue.value);
  const isDirect = (result === 'float32' || result === lhs.dtype) && (isPlain || bias !== undefined);
  const sumsBytes = isDirect ? 0 : roundUp(matrices(product) * m * n * 4, 256);
  if (sumsBytes > mostWorkspaceBytes) return undefined;
  return { operandType: lhs.dtype, operands: [left, right], isDirect, sumsBytes, bias };
}

const dtypeOf = (anchor: DotAnchor, buffer: number): DType => anchor.buffers[buffer]!.dtype;

function libraryOperand(
  operand: ProductOperand,
  rows: number,
  columns: number,
  extents: readonly number[],
): LibraryOperand | undefined {
  const transposed = operand.column !== 1;
  const [inner, leading, length] = transposed
    ? [operand.row, operand.column, rows]
    : [operand.column, operand.row, columns];
  const batchStride = evenStride(operand.batch, extents);
  if (inner !== 1 || leading < length || batchStride === undefined) return undefined;
  return { transposed, leading, batchStride, alignment: alignmentOf(offsetOf(operand)) };
}

/** The distance from each matrix to the next, if it is always the same. */
function evenStride(strides: readonly number[], extents: readonly number[]): number | undefined {
  const stride = strides.at(-1) ?? 0;
  let count = 1;
  for (let i = strides.length - 1; i >= 0; i--) {
    if (strides[i] !== stride * count) return undefined;
    count *= extents[i]!;
  }
  return stride < 0 ? undefined : stride;
}

const offsetOf = ({ offset, dtype }: ProductOperand): number => offset * dtypeInfo[dtype].bytes;

const pointerTo = (operand: ProductOperand): StagePointer => ({
  kind: 'buffer',
  index: operand.slot,
  byteOffset: offsetOf(operand),
});

/** Of buffers. */
const mostAlignment = 256;

function alignmentOf(byteOffset: number): number {
  let alignment = mostAlignment;
  while (byteOffset % alignment !== 0) alignment /= 2;
  return alignment;
}

const isSum = (value: Expression): boolean => value.op === 'accumulator';

/** The buffer of which the epilogue adds an element for each column, and does nothing else. */
function biasOf(anchor: DotAnchor, n: number): number | undefined {
  if (!anchor.epilogue) return undefined;
  const { space, value } = anchor.epilogue;
  if (value.op !== 'alu' || value.alu !== 'add') return undefined;
  const load = isSum(value.args[0]!) ? value.args[1]! : value.args[0]!;
  if (load.op !== 'load' || load.guard || !value.args.some(isSum)) return undefined;
  const columns = space.findLast(({ extent }) => extent > 1);
  const isAlong = load.index.op === 'index' && load.index.variable === columns && columns.extent === n;
  // The library has a bias of the result's type alone.
  return isAlong && dtypeOf(anchor, load.buffer) === dtypeOf(anchor, resultBuffer(anchor))
    ? load.buffer
    : undefined;
}

/** Models of one or a few nodes in the format of ONNX, written with its own message types. */
import protobuf from 'protobufjs';

/** The part of `onnx.proto3` that is used here: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3 */
const { nested } = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: { type: 'int64', id: 1 },
        graph: { type: 'GraphProto', id: 7 },
        opsetImport: { rule: 'repeated', type: 'OperatorSetIdProto', id: 8 },
      },
    },
    OperatorSetIdProto: { fields: { domain: { type: 'string', id: 1 }, version: { type: 'int64', id: 2 } } },
    GraphProto: {
      fields: {
        node: { rule: 'repeated', type: 'NodeProto', id: 1 },
        name: { type: 'string', id: 2 },
        initializer: { rule: 'repeated', type: 'TensorProto', id: 5 },
        input: { rule: 'repeated', type: 'ValueInfoProto', id: 11 },
        output: { rule: 'repeated', type: 'ValueInfoProto', id: 12 },
      },
    },
    NodeProto: {
      fields: {
        input: { rule: 'repeated', type: 'string', id: 1 },
        output: { rule: 'repeated', type: 'string', id: 2 },
        opType: { type: 'string', id: 4 },
        attribute: { rule: 'repeated', type: 'AttributeProto', id: 5 },
        domain: { type: 'string', id: 7 },
      },
    },
    AttributeProto: {
      fields: {
        name: { type: 'string', id: 1 },
        f: { type: 'float', id: 2 },
        i: { type: 'int64', id: 3 },
        ints: { rule: 'repeated', type: 'int64', id: 8, options: { packed: false } },
        type: { type: 'int32', id: 20 },
      },
    },
    TensorProto: {
      fields: {
        dims: { rule: 'repeated', type: 'int64', id: 1, options: { packed: false } },
        dataType: { type: 'int32', id: 2 },
        name: { type: 'string', id: 8 },
        rawData: { type: 'bytes', id: 9 },
      },
    },
    ValueInfoProto: { fields: { name: { type: 'string', id: 1 }, type: { type: 'TypeProto', id: 2 } } },
    TypeProto: { fields: { tensorType: { type: 'TensorType', id: 1 } } },
    TensorType: {
      fields: { elemType: { type: 'int32', id: 1 }, shape: { type: 'TensorShapeProto', id: 2 } },
    },
    TensorShapeProto: { fields: { dim: { rule: 'repeated', type: 'Dimension', id: 1 } } },
    Dimension: { fields: { dimValue: { type: 'int64', id: 1 } } },
  },
});

const float32 = 1; // TensorProto.DataType.FLOAT
const [isFloat, isInt, isInts] = [1, 2, 7]; // AttributeProto.AttributeType

export interface Node {
  readonly op: string;
  /** Names of values; the last node's output is `y`. */
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Of the operator set: ONNX's own where it is left out. */
  readonly domain?: string;
}

export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] };

export interface Model {
  readonly nodes: readonly Node[];
  /** Shapes of what is fed in by name. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** What is part of the model, and so known when it is loaded. */
  readonly constants?: Readonly<Record<string, Constant>>;
  /** The shape of `y`. */
  readonly output: readonly number[];
}

export interface Constant {
  readonly shape: readonly number[];
  readonly values: Float32Array<ArrayBuffer>;
}

/** The model as a file's bytes. All values are float32. */
export function encodeModel({ nodes, inputs, constants = {}, output }: Model): Uint8Array {
  const message = {
    irVersion: 9,
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'work',
      node: nodes.map(({ op, inputs: input, output: value, attributes = {}, domain }) => ({
        opType: op,
        input,
        output: [value],
        attribute: Object.entries(attributes).map(encodeAttribute),
        ...(domain && { domain }),
      })),
      initializer: Object.entries(constants).map(([name, { shape, values }]) => ({
        name,
        dims: shape,
        dataType: float32,
        rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      })),
      input: Object.entries(inputs).map(([name, shape]) => valueInfo(name, shape)),
      output: [valueInfo('y', output)],
    },
  };
  return (nested!['ModelProto'] as protobuf.Type).encode(message).finish();
}

function encodeAttribute([name, value]: [string, Attribute]): object {
  if ('int' in value) return { name, i: value.int, type: isInt };
  if ('float' in value) return { name, f: value.float, type: isFloat };
  return { name, ints: value.ints, type: isInts };
}

function valueInfo(name: string, shape: readonly number[]): object {
  const dim = shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: float32, shape: { dim } } } };
}

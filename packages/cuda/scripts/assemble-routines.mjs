/**
 * What the kernels of routines need of a GPU's registers and shared memory, as ptxas says.
 *
 *     node packages/cuda/scripts/assemble-routines.mjs [sm_90 ...]
 */
import { pathToFileURL } from 'node:url';
import { architectures, assemble, hasNvcc } from './assemble.mjs';
import { featuresOf } from './features.mjs';

const orders = [
  ['rows', 'rows'],
  ['rows', 'columns'],
  ['columns', 'rows'],
  ['columns', 'columns'],
];

const image = { batch: 32, inSize: [56, 56], kernelSize: [3, 3], padLow: [1, 1] };
const layers = {
  forward: { ...image, inChannels: 64, outChannels: 128, epilogue: 'bias' },
  'kernel of one': { ...image, kernelSize: [1, 1], padLow: [0, 0], inChannels: 64, outChannels: 128 },
  'input gradient of stride 2': {
    ...image,
    ...{ inSize: [28, 28], padHigh: [2, 2], inputDilation: [2, 2], inChannels: 128, outChannels: 64 },
    ...{ swapRhs: true, flip: true },
  },
  'kernel gradient': {
    ...{
      batch: 64,
      inSize: [56, 56],
      kernelSize: [56, 56],
      padLow: [1, 1],
      inChannels: 32,
      outChannels: 128,
    },
    ...{ swapLhs: true, swapRhs: true },
  },
};

/**
 * Each kernel of each variant that a GPU can run, for large operands.
 *
 * @param routines The modules dot, dot-plan, conv, attention and attention-gradient, built or not.
 * @param testing What `@tutti/core/testing` has.
 */
export function routineUnits(routines, testing, features) {
  return [
    ...dotUnits(routines, testing, features),
    ...convUnits(routines, testing, features),
    ...attentionUnits(routines, testing, features),
    ...gradientUnits(routines, testing, features),
  ];
}

const unitOf = (name, program) =>
  program ? [{ name, code: program.stages[0].code, dynamic: program.stages[0].sharedBytes }] : [];

function dotUnits({ dot, plan }, { dotAnchor }, features) {
  const product = (variant, layouts, dtype, m = 4096) => {
    const epilogue = { space: [m, 4096], bias: 1, dtype };
    const anchor = dotAnchor(m, 4096, 4096, { layouts, dtypes: [dtype, dtype, dtype], epilogue });
    const name = `product, ${variant}, ${layouts.join(' by ')}, ${dtype}`;
    return isRoom(plan, variant, features) ? unitOf(name, dot.dotRoutine(anchor, features, variant)) : [];
  };
  const simt = Object.keys(plan.simtShapes).map((name) => `simt ${name}`);
  const mma = Object.keys(plan.mmaShapes).map((name) => `mma ${name}`);
  return [
    ...simt.flatMap((variant) => orders.flatMap((order) => product(variant, order, 'float32'))),
    ...['float16', 'bfloat16', 'float32'].flatMap((dtype) =>
      mma.flatMap((variant) => orders.flatMap((order) => product(variant, order, dtype))),
    ),
    ...['row warp', 'row block', 'row columns'].flatMap((variant) =>
      orders.slice(0, 2).flatMap((order) => product(variant, order, 'float16', 1)),
    ),
    ...product('direct', orders[0], 'float32'),
  ];
}

/** Whether a device has the shared memory for it. */
function isRoom(plan, variant, features) {
  const extents = { rows: 4096, columns: 4096, matrices: 1, k: 4096 };
  const [cores, name] = variant.split(' ');
  if (cores === 'mma')
    return [2, 4].every((bytes) => plan.mmaRanked(extents, bytes, features).includes(name));
  return cores !== 'simt' || plan.simtRanked(extents, features).includes(name);
}

function convUnits({ conv, plan }, { convAnchor }, features) {
  const layer = (name, variant, dtype) => {
    const anchor = convAnchor({ ...layers[name], dtypes: [dtype, dtype, dtype] });
    const aligned = {
      ...anchor,
      lhs: { ...anchor.lhs, offset: 0 },
      rhs: { ...anchor.rhs, offset: anchor.rhs.offset - 1 },
    };
    return isRoom(plan, variant, features)
      ? unitOf(`${name}, ${variant}, ${dtype}`, conv.convRoutine(aligned, features, variant))
      : [];
  };
  const simt = Object.keys(plan.simtShapes).map((name) => `simt ${name}`);
  const mma = Object.keys(plan.mmaShapes)
    .filter((name) => name !== '128x256')
    .map((name) => `mma ${name}`);
  const halves = features.computeCapability < 80 ? ['float16'] : ['bfloat16', 'float32'];
  return Object.keys(layers).flatMap((name) => [
    ...['direct', 'reduce', ...simt].flatMap((variant) => layer(name, variant, 'float32')),
    ...halves.flatMap((dtype) => mma.flatMap((variant) => layer(name, variant, dtype))),
  ]);
}

function attentionUnits({ attention }, { attentionCase }, features) {
  const tile = (variant, width, dtype) => {
    const options = { batch: [32, 12], queries: 1024, keys: 1024, width, valueWidth: width, causal: true };
    const { anchor } = attentionCase('', { ...options, dtype, out: dtype });
    const able = attention.attentionVariants(anchor, features).includes(variant);
    const program = able ? attention.attentionRoutine(anchor, features, variant) : undefined;
    return unitOf(`attention, ${variant}, width ${width}, ${dtype}`, program);
  };
  return [64, 128].flatMap((width) => [
    ...['simt 64x64', 'simt 64x32', 'simt 32x32'].flatMap((variant) => tile(variant, width, 'float32')),
    ...['mma 128x64', 'mma 64x64'].flatMap((variant) =>
      ['float16', 'bfloat16'].flatMap((dtype) => tile(variant, width, dtype)),
    ),
  ]);
}

/** Each pass of each variant. */
function gradientUnits({ attentionGradient }, { attentionGradientCase }, features) {
  const tile = (variant, width, dtype, gradient) => {
    const options = { batch: [32, 12], queries: 1024, keys: 1024, width, valueWidth: width, causal: true };
    const { anchor } = attentionGradientCase('', { ...options, dtype, gradient });
    const able = attentionGradient.attentionGradientVariants(anchor, features).includes(variant);
    const stages = able ? attentionGradient.attentionGradientRoutine(anchor, features, variant).stages : [];
    const passes = ['sums', ...anchor.of];
    return stages.map(({ code, sharedBytes }, i) => ({
      name: `attention gradient, ${passes.at(i - stages.length) ?? 'parts'}, ${variant}, width ${width}, ${dtype} from ${gradient}`,
      code,
      dynamic: sharedBytes,
    }));
  };
  return [64, 128].flatMap((width) => [
    ...['simt 64x64', 'simt 64x32', 'simt 32x32'].flatMap((variant) =>
      tile(variant, width, 'float32', 'float32'),
    ),
    ...['mma 64x64', 'mma 64x32'].flatMap((variant) =>
      ['float16', 'bfloat16'].flatMap((dtype) =>
        [dtype, 'float32'].flatMap((gradient) => tile(variant, width, dtype, gradient)),
      ),
    ),
  ]);
}

async function main() {
  if (!hasNvcc()) {
    console.log('nvcc is not here: install the CUDA toolkit to assemble kernels');
    return;
  }
  const built = (name) => import(`../dist/routines/${name}.js`);
  const routines = {
    dot: await built('dot'),
    plan: await built('dot-plan'),
    conv: await built('conv'),
    attention: await built('attention'),
    attentionGradient: await built('attention-gradient'),
  };
  const testing = await import('@tutti/core/testing');
  const chosen = process.argv.slice(2);
  for (const architecture of chosen.length > 0 ? chosen : architectures) {
    const units = routineUnits(routines, testing, { ...featuresOf(architecture), tf32: true });
    const resources = await assemble(units, architecture);
    console.log(architecture);
    console.table(
      Object.fromEntries(
        resources.map(({ name, ...rest }, i) => [name, { ...rest, dynamic: units[i].dynamic }]),
      ),
    );
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();

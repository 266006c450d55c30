/** Checks and copies of `loadStateDict`. */
import { cast, type Device, type Tensor, type Variable } from '@tutti/core';
import { dtypeInfo } from '@tutti/core/backend';
import { fromHost } from '@tutti/core/graph';
import { StateDictError } from './errors.ts';

/** What kind of thing keeps a value from being loaded: each has a remedy of its own. */
export type MismatchKind = 'sizes' | 'module ended' | 'value ended' | 'device';

export interface Mismatch {
  readonly kind: MismatchKind;
  /** One sentence. */
  readonly text: string;
}

/** What keeps `value` from being loaded into a variable: nothing, or one thing. */
export function mismatch(
  { name, variable }: { name: string; variable: Variable },
  value: Tensor,
): Mismatch[] {
  const sameShape =
    value.shape.length === variable.shape.length &&
    value.shape.every((extent, axis) => extent === variable.shape[axis]);
  const sameKind = dtypeInfo[value.dtype].kind === dtypeInfo[variable.dtype].kind;
  const describe = ({ dtype, shape }: Tensor): string => `${dtype} [${shape.join(', ')}]`;
  if (!sameShape || !sameKind)
    return [{ kind: 'sizes', text: `${name}: ${describe(value)} for ${describe(variable)}` }];
  const { device } = variable;
  if (device.failure) return [{ kind: 'module ended', text: `${name}: its own device ${device} has ended` }];
  if (onDevice(value, device)) return [];
  if (value.device.failure)
    return [
      { kind: 'value ended', text: `${name}: its value was on a device ${value.device} that has ended` },
    ];
  return [{ kind: 'device', text: `${name}: on device ${value.device}, not on ${device}` }];
}

/** What ends a device takes everything on it: the worst comes first, and is what is told. */
const fixes: Readonly<Record<MismatchKind, string>> = {
  'module ended': 'the module is lost with its device: make it anew, and its optimiser, and load into those',
  'value ended':
    'a state dict is lost with its device: keep its bytes, encodeSafetensors(model.stateDict()), and load decodeSafetensors(bytes)',
  sizes: 'build the module with the sizes of the saved one',
  device:
    'move the values first, await value.to(device), or save and load them as bytes, which go to any device',
};

/** Assigns a value that `mismatch` found nothing against, cast and put where the variable is. */
export function assignFrom(variable: Variable, value: Tensor): void {
  const near = onDevice(value, variable.device)!;
  variable.assign(near.dtype === variable.dtype ? near : cast(near, variable.dtype));
}

/** The value on a device, if it is there or still on the host. */
function onDevice(value: Tensor, device: Device): Tensor | undefined {
  if (value.device.same(device)) return value;
  const { host, shape, dtype } = value.node;
  return host && fromHost(host, shape, dtype, device);
}

export function stateDictError(
  module: string,
  missing: readonly string[],
  unexpected: readonly string[],
  mismatches: readonly Mismatch[],
  strict: boolean,
): StateDictError {
  const mismatched = mismatches.map(({ text }) => text);
  const lines = [`loadStateDict: the state dict does not fit this ${module}; nothing was loaded`];
  if (missing.length > 0 && strict) lines.push(`  missing: ${missing.join(', ')}`);
  if (unexpected.length > 0 && strict) lines.push(`  unexpected: ${unexpected.join(', ')}`);
  if (mismatched.length > 0) lines.push(`  mismatched: ${mismatched.join('; ')}`);
  const worst = (Object.keys(fixes) as MismatchKind[]).find((kind) =>
    mismatches.some((each) => each.kind === kind),
  );
  const fix =
    worst !== undefined
      ? fixes[worst]
      : 'build the module as the saved one was, or pass { strict: false } to load the names that both have';
  return new StateDictError(
    lines.join('\n'),
    { missing, unexpected, mismatched },
    { op: 'loadStateDict', received: { missing, unexpected, mismatched }, fix },
  );
}

/** Checks and copies of `loadStateDict`. */
import { cast, type Device, type Tensor, type Variable } from '@tutti/core';
import { dtypeInfo } from '@tutti/core/backend';
import { fromHost } from '@tutti/core/graph';
import { StateDictError } from './errors.ts';

/** What keeps `value` from being loaded into a variable: nothing, or one sentence. */
export function mismatch({ name, variable }: { name: string; variable: Variable }, value: Tensor): string[] {
  const sameShape =
    value.shape.length === variable.shape.length &&
    value.shape.every((extent, axis) => extent === variable.shape[axis]);
  const sameKind = dtypeInfo[value.dtype].kind === dtypeInfo[variable.dtype].kind;
  const describe = ({ dtype, shape }: Tensor): string => `${dtype} [${shape.join(', ')}]`;
  if (!sameShape || !sameKind) return [`${name}: ${describe(value)} for ${describe(variable)}`];
  if (onDevice(value, variable.device)) return [];
  return [
    `${name}: on device ${value.device}, not on ${variable.device}; move it with \`await value.to(device)\``,
  ];
}

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
  mismatched: readonly string[],
  strict: boolean,
): StateDictError {
  const lines = [`loadStateDict: the state dict does not fit this ${module}; nothing was loaded`];
  if (missing.length > 0 && strict) lines.push(`  missing: ${missing.join(', ')}`);
  if (unexpected.length > 0 && strict) lines.push(`  unexpected: ${unexpected.join(', ')}`);
  if (mismatched.length > 0) lines.push(`  mismatched: ${mismatched.join('; ')}`);
  const fix =
    mismatched.length > 0
      ? 'build the module with the sizes of the saved one'
      : 'build the module as the saved one was, or pass { strict: false } to load the names that both have';
  return new StateDictError(
    lines.join('\n'),
    { missing, unexpected, mismatched },
    { op: 'loadStateDict', received: { missing, unexpected, mismatched }, fix },
  );
}

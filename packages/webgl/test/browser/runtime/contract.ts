/** What the contract promises of a device. */
import { type CheckedDevice, deviceChecks } from '@tutti/core/testing';
import { affine, increment, make, type TestDevice } from '../device.ts';
import { reversed, storeScalars } from './programs.ts';

/** Programs count texels, of four elements each. */
function checked({ backend }: TestDevice): CheckedDevice {
  return {
    backend,
    affine: (n, turns) => backend.load(affine(n / 4, turns)),
    increment: (n) => backend.load(increment(n / 4)),
    reversed: (n) => backend.load(reversed(n / 4)),
    storeScalars: () => backend.load(storeScalars),
  };
}

export const contractChecks = {
  async contract(name: string) {
    const opened: TestDevice[] = [];
    const open = async (): Promise<CheckedDevice> => {
      const device = make();
      opened.push(device);
      return checked(device);
    };
    try {
      await deviceChecks.find((check) => check.name === name)!.run(open);
    } finally {
      for (const { backend } of opened) backend.dispose();
    }
    return 'kept';
  },
};

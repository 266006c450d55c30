import { Argument, Command, Option } from 'commander';
import { InternalError } from 'tutti';
import { integer, nonEmpty, positive } from '../flags.ts';
import { sizes } from '../mnist/data.ts';
import { type MnistOptions, runMnist } from '../mnist/run.ts';

const largestSeed = 2 ** 32 - 1;

/** `tutti train mnist [flags]` */
export function trainCommand(): Command {
  return new Command('train')
    .description('train an example to the end, and report its accuracy')
    .addArgument(new Argument('<example>', 'what to train').choices(['mnist']))
    .addOption(
      flag(
        '--device <id>',
        'device, such as cpu or cuda:1 (default: TUTTI_DEVICE, or the best there is)',
        nonEmpty,
      ),
    )
    .addOption(flag('--epochs <n>', 'passes over the training images; 0 only tests', integer(0)).default(2))
    .addOption(flag('--batch <n>', 'images of a step', integer(1, sizes.train)).default(128))
    .addOption(flag('--train <n>', 'training images', integer(1, sizes.train)).default(sizes.train))
    .addOption(flag('--test <n>', 'test images', integer(1, sizes.test)).default(sizes.test))
    .addOption(flag('--seed <n>', 'fixes all that is random', integer(0, largestSeed)).default(0))
    .addOption(flag('--lr <rate>', 'highest learning rate', positive).default(0.003))
    .addOption(flag('--save <file>', 'write the trained parameters (safetensors)', nonEmpty))
    .addOption(flag('--load <file>', 'start from saved parameters', nonEmpty))
    .addOption(flag('--json <file>', 'write the result, with the loss of every step', nonEmpty))
    .action(async (example: string, options: MnistOptions) => {
      if (example !== 'mnist') throw new InternalError(`no example ${example}`);
      await runMnist(options);
    });
}

const flag = (name: string, description: string, parse: (text: string) => unknown): Option =>
  new Option(name, description).argParser(parse);

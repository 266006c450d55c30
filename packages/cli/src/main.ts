import { Command, CommanderError, Option } from 'commander';
import { benchCommand } from './commands/bench.ts';
import { conformanceCommand } from './commands/conformance.ts';
import { doctorCommand } from './commands/doctor.ts';
import { trainCommand } from './commands/train.ts';
import { describeError, exitCodeOf } from './errors.ts';
import { nonEmpty } from './flags.ts';
import { registerFrom } from './register.ts';
import { version } from './version.ts';

/** A new program with all commands. Each command is a file of its own. */
function createProgram(): Command {
  const program = new Command('tutti')
    .description('Tutti, a deep-learning framework in TypeScript')
    .version(version)
    .option('--verbose', 'show the stack of an error')
    .addOption(
      new Option(
        '--register <module>',
        'a module that exports a backend, such as ./my-backend.js; may be repeated',
      ).argParser((text, before: string[] = []) => [...before, nonEmpty(text)]),
    )
    .hook('preAction', async (self) => {
      for (const module of self.opts<{ register?: string[] }>().register ?? []) await registerFrom(module);
    })
    .showHelpAfterError(false);
  for (const command of [doctorCommand(), trainCommand(), conformanceCommand(), benchCommand()]) {
    program.addCommand(command);
  }
  // Errors are thrown to `main`, which prints all of them in one form.
  for (const command of withSubcommands(program)) {
    command
      .exitOverride()
      .configureOutput({ outputError: () => undefined })
      .configureHelp({ showGlobalOptions: true });
  }
  return program;
}

const withSubcommands = (command: Command): Command[] => [
  command,
  ...command.commands.flatMap((each) => withSubcommands(each as Command)),
];

/**
 * Runs the command line and gives the exit code: 0, or 1 for an error, or 2 for arguments that make no sense. Prints
 * errors; never throws.
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...args], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0; // --help, --version
    if (error instanceof CommanderError && error.code === 'commander.help') return 2; // no command: help was shown
    process.stderr.write(`${describeError(error, isVerbose(args))}\n`);
    return exitCodeOf(error);
  }
}

function isVerbose(args: readonly string[]): boolean {
  return args.includes('--verbose') || !['', '0', undefined].includes(process.env['TUTTI_DEBUG']);
}

import { Command } from 'commander';

/** `tutti bench`: where the benchmarks are. They need the peers, which no user of this package should have to install. */
export function benchCommand(): Command {
  return new Command('bench').description('say how to run the benchmark suite').action(() => {
    console.log(
      'The benchmark suite is part of the repository, because it compares with other libraries.\n' +
        'In a checkout of it:\n\n  pnpm bench --suite micro --peers',
    );
  });
}

// What `npm start --epochs 1` does to a flag: npm keeps one that does not stand behind `--`, and tells in the environment.

/** Flags of `tutti train mnist` that npm has too, for itself. Finding one in the environment means nothing. */
export const flagsOfNpm = ['save', 'json', 'help', 'version', 'verbose'];

/** The others. Known without asking the command line, which may not have been built yet. */
export const flagsOfTraining = [
  'device',
  'epochs',
  'batch',
  'train',
  'test',
  'seed',
  'lr',
  'load',
  'register',
];

/** Those that npm has kept. */
export function flagsTakenByNpm(env) {
  return flagsOfTraining.filter((name) => env[`npm_config_${name}`] !== undefined);
}

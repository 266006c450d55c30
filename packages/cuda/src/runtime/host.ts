/** What is asked of the machine outside of the driver. */
import { homedir } from 'node:os';

/** Why something is not there, and what a person can do about it. */
export interface Absent {
  readonly reason: string;
  readonly fix: string;
}

export const isAbsent = (value: object): value is Absent => 'reason' in value && 'fix' in value;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where libraries and folders are looked for. */
export interface Surroundings {
  readonly platform: string;
  readonly environment: Environment;
  readonly home: string;
  /** What the absolute folders of the system begin with: nothing. */
  readonly root: string;
}

export const machine = (): Surroundings => ({
  platform: process.platform,
  environment: process.env,
  home: homedir(),
  root: '',
});

/** 1610612736 of "1.5 GiB", "1.5g" or "1610612736"; undefined of anything else. */
export function parseBytes(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgt])?(?:i?b|ytes)?\s*$/i.exec(text);
  if (!match) return undefined;
  return Math.floor(Number(match[1]) * 1024 ** ('kmgt'.indexOf((match[2] ?? '').toLowerCase() || '-') + 1));
}

/** How much work the plans of the routines make a unit of: the same for all of them, and on every machine, as results must be. */

/** The clock of the processor that the plans reckon with. */
export const cyclesPerNanosecond = 3.5;

/** Nanoseconds that make a unit worth handing out. */
const unitTime = 20_000;
const mostUnits = 32;

/** How many units work of so many nanoseconds should be cut into. */
export const unitsFor = (nanoseconds: number): number =>
  Math.min(mostUnits, Math.ceil(nanoseconds / unitTime));

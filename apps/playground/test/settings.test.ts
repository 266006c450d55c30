import { describe, expect, it } from 'vitest';
import { defaults, readSettings } from '../src/settings.ts';

describe('readSettings', () => {
  it('has a default for everything', () => {
    expect(readSettings('')).toEqual(defaults);
  });

  it('takes what the address says', () => {
    const search = '?device=webgl&model=mlp&epochs=2&train=600&test=200&batch=32';
    expect(readSettings(search)).toEqual({
      device: 'webgl',
      model: 'mlp',
      epochs: 2,
      train: 600,
      test: 200,
      batch: 32,
    });
  });

  it.each([
    ['?epochs=0', 'epochs is an integer from 1 to 100'],
    ['?epochs=', 'epochs is an integer from 1 to 100'],
    ['?train=60001', 'train is an integer from 1 to 60000'],
    ['?test=1e3', 'test is an integer from 1 to 10000'],
    ['?batch=2.5', 'batch is an integer from 1 to 1000'],
    ['?model=transformer', 'model is one of cnn, mlp'],
    ['?model=constructor', 'model is one of cnn, mlp'],
    ['?device=', 'device is the id of one, such as webgl, or auto'],
    ['?epoch=3', 'the page knows ?device=, ?model=, ?epochs=, ?train=, ?test=, ?batch='],
    ['?toString=1', 'the page knows ?device=, ?model=, ?epochs=, ?train=, ?test=, ?batch='],
  ])('refuses %s and says what would do', (search, fix) => {
    const error = expect.objectContaining({ code: 'TUTTI_ARGUMENT', fix });
    expect(() => readSettings(search)).toThrow(error);
    expect(() => readSettings(search)).toThrow(`the address says ${search.slice(1)}`);
  });
});

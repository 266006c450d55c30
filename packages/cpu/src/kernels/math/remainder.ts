/**
 * C's fmod for one f32, exact: the remainder is taken in f64, where a quotient below 2^28 times a 24-bit divisor has no
 * rounding. A larger quotient is brought down 27 bits at a time.
 */
import type { ModuleBuilder } from '../../wasm/index.ts';

export function remainder(module: ModuleBuilder): number {
  return module.helper('remainder', { params: ['f32', 'f32'], results: ['f32'] }, (fn) => {
    const [x, y] = fn.params as [(typeof fn.params)[0], (typeof fn.params)[0]];
    const r = fn.local('f64');
    const divisor = fn.local('f64');
    const step = fn.local('f64');
    const quotient = fn.local('f64');
    // NaN for a NaN, for an infinite x and for y = 0.
    fn.get(x).get(x).op('f32.sub').f32(0).op('f32.ne').get(y).f32(0).op('f32.eq').op('i32.or');
    fn.get(y).get(y).op('f32.ne').op('i32.or').if();
    fn.f32(Number.NaN).op('return').end();
    fn.get(x).op('f32.abs').op('f64.promote_f32').set(r);
    fn.get(y).op('f32.abs').op('f64.promote_f32').set(divisor);
    const again = fn.loop();
    fn.get(r).get(divisor).op('f64.ge').if();
    fn.get(divisor).set(step);
    fn.get(r)
      .get(divisor)
      .op('f64.div')
      .tee(quotient)
      .f64(2 ** 28)
      .op('f64.ge')
      .if();
    // step = divisor times the power of two of quotient, less 27 bits
    fn.get(quotient)
      .op('i64.reinterpret_f64')
      .i64(0x7ff0000000000000n)
      .op('i64.and')
      .op('f64.reinterpret_i64');
    fn.f64(2 ** -27)
      .op('f64.mul')
      .get(divisor)
      .op('f64.mul')
      .tee(step)
      .get(r)
      .op('f64.gt')
      .if();
    fn.get(step).f64(0.5).op('f64.mul').set(step).end();
    fn.end();
    fn.get(r).get(r).get(step).op('f64.div').op('f64.trunc').get(step).op('f64.mul').op('f64.sub').tee(r);
    fn.f64(0).op('f64.lt').if();
    fn.get(r).get(step).op('f64.add').set(r).end();
    fn.br(again).end();
    fn.end();
    fn.get(r).op('f32.demote_f64').get(x).op('f32.copysign');
  });
}

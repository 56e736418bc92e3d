import { lookUp } from '../names.ts';
import { ab } from './methods/ab.ts';
import { at } from './methods/at.ts';
import { bornAgain } from './methods/bornAgain.ts';
import { byot } from './methods/byot.ts';
import { cc } from './methods/cc.ts';
import { codistillation } from './methods/codistillation.ts';
import { crd } from './methods/crd.ts';
import { csKd } from './methods/csKd.ts';
import { ctkd } from './methods/ctkd.ts';
import { ddgsd } from './methods/ddgsd.ts';
import { dist } from './methods/dist.ts';
import { dkd } from './methods/dkd.ts';
import { dlb } from './methods/dlb.ts';
import { dml } from './methods/dml.ts';
import { fitnet } from './methods/fitnet.ts';
import { fsp } from './methods/fsp.ts';
import { ft } from './methods/ft.ts';
import { independent } from './methods/independent.ts';
import { kd } from './methods/kd.ts';
import { kdcl } from './methods/kdcl.ts';
import { labelSmoothing } from './methods/labelSmoothing.ts';
import { mlkd } from './methods/mlkd.ts';
import { nst } from './methods/nst.ts';
import { okddip } from './methods/okddip.ts';
import { pcl } from './methods/pcl.ts';
import { pkt } from './methods/pkt.ts';
import { psKd } from './methods/psKd.ts';
import { rkd } from './methods/rkd.ts';
import { selfEma } from './methods/selfEma.ts';
import { sp } from './methods/sp.ts';
import { tfKdReg } from './methods/tfKdReg.ts';
import { tfKdSelf } from './methods/tfKdSelf.ts';
import { vid } from './methods/vid.ts';
import { wsld } from './methods/wsld.ts';
import type { AnyMethod } from './objective.ts';

/** Order of lists: the control, then by schema. */
const list: readonly AnyMethod[] = [
  independent,
  labelSmoothing,
  dml,
  codistillation,
  kdcl,
  okddip,
  pcl,
  kd,
  dkd,
  dist,
  mlkd,
  wsld,
  ctkd,
  fitnet,
  at,
  sp,
  cc,
  vid,
  rkd,
  pkt,
  ab,
  ft,
  fsp,
  nst,
  crd,
  selfEma,
  bornAgain,
  tfKdSelf,
  tfKdReg,
  byot,
  psKd,
  dlb,
  csKd,
  ddgsd,
];

/** Every distillation method by name. */
export const methods: Readonly<Record<string, AnyMethod>> = Object.fromEntries(
  list.map((method) => [method.name, method]),
);

/** @throws {UsageError} naming the known methods */
export function getMethod(name: string): AnyMethod {
  return lookUp('method', methods, name);
}

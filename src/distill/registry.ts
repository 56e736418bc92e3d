/**
 * The distillation methods, without loading any: each is loaded when it is asked for, for TensorFlow.js, which they need,
 * takes longer to load than all else that the coordinator and the command line do.
 *
 * A method is a file in ./methods and a line here, under where its teachers are: nowhere, in other peers, or in the student
 * itself. The order is that of lists.
 */
import type { AnyMethod } from './objective.ts';

type Load = () => Promise<AnyMethod>;

const none: Readonly<Record<string, Load>> = {
  independent: async () => (await import('./methods/independent.ts')).independent,
  'label-smoothing': async () => (await import('./methods/labelSmoothing.ts')).labelSmoothing,
};

const peers: Readonly<Record<string, Load>> = {
  dml: async () => (await import('./methods/dml.ts')).dml,
  codistillation: async () => (await import('./methods/codistillation.ts')).codistillation,
  kdcl: async () => (await import('./methods/kdcl.ts')).kdcl,
  okddip: async () => (await import('./methods/okddip.ts')).okddip,
  pcl: async () => (await import('./methods/pcl.ts')).pcl,
  kd: async () => (await import('./methods/kd.ts')).kd,
  dkd: async () => (await import('./methods/dkd.ts')).dkd,
  dist: async () => (await import('./methods/dist.ts')).dist,
  mlkd: async () => (await import('./methods/mlkd.ts')).mlkd,
  wsld: async () => (await import('./methods/wsld.ts')).wsld,
  ctkd: async () => (await import('./methods/ctkd.ts')).ctkd,
  nkd: async () => (await import('./methods/nkd.ts')).nkd,
  fitnet: async () => (await import('./methods/fitnet.ts')).fitnet,
  at: async () => (await import('./methods/at.ts')).at,
  sp: async () => (await import('./methods/sp.ts')).sp,
  cc: async () => (await import('./methods/cc.ts')).cc,
  vid: async () => (await import('./methods/vid.ts')).vid,
  rkd: async () => (await import('./methods/rkd.ts')).rkd,
  pkt: async () => (await import('./methods/pkt.ts')).pkt,
  ab: async () => (await import('./methods/ab.ts')).ab,
  ft: async () => (await import('./methods/ft.ts')).ft,
  fsp: async () => (await import('./methods/fsp.ts')).fsp,
  nst: async () => (await import('./methods/nst.ts')).nst,
  crd: async () => (await import('./methods/crd.ts')).crd,
};

const self: Readonly<Record<string, Load>> = {
  'self-ema': async () => (await import('./methods/selfEma.ts')).selfEma,
  'born-again': async () => (await import('./methods/bornAgain.ts')).bornAgain,
  'tf-kd-self': async () => (await import('./methods/tfKdSelf.ts')).tfKdSelf,
  'tf-kd-reg': async () => (await import('./methods/tfKdReg.ts')).tfKdReg,
  byot: async () => (await import('./methods/byot.ts')).byot,
  'ps-kd': async () => (await import('./methods/psKd.ts')).psKd,
  dlb: async () => (await import('./methods/dlb.ts')).dlb,
  'cs-kd': async () => (await import('./methods/csKd.ts')).csKd,
  ddgsd: async () => (await import('./methods/ddgsd.ts')).ddgsd,
};

export const registry = { none, peers, self } as const;

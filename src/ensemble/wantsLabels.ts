import type { EnsembleKind } from '../distill/types.ts';
import { needsLabels } from './targets.ts';

/** Whether students have to tell the coordinator the true classes: to make the target, or to weight the peers by it. */
export function wantsLabels(ensemble: EnsembleKind): boolean {
  return ensemble === 'weighted' || needsLabels(ensemble);
}

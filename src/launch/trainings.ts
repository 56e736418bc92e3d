import { join } from 'node:path';
import { asksPeers, methodsIn } from '../config/methods.ts';
import { peerNames } from '../config/peers.ts';
import type { Experiment } from '../config/schema.ts';
import { compareFolder } from '../results/runFolder.ts';

/** One of the trainings that a run consists of. */
export interface PlannedTraining {
  /** Whose training it is: that of teachers comes first, and only where they have no weights yet. */
  readonly kind: 'teachers' | 'students';
  readonly experiment: Experiment;
  readonly folder: string;
}

/** Everything that is to be trained, in its order: teachers without weights, the method itself, what it is compared with. */
export function trainingsOf(experiment: Experiment, folder: string): PlannedTraining[] {
  const asked = [...methodsIn(experiment.distill), ...experiment.compare].some(asksPeers);
  const teachers = asked ? teachersToTrain(experiment) : [];
  const teachersFolder = join(folder, 'teachers');
  const students = withWeights(experiment, teachersFolder);
  return [
    ...(teachers.length === 0
      ? []
      : [
          {
            kind: 'teachers' as const,
            experiment: { ...withMethod(experiment, 'independent'), peers: teachers },
            folder: teachersFolder,
          },
        ]),
    { kind: 'students', experiment: { ...students, compare: [] }, folder },
    ...experiment.compare.map((method) => ({
      kind: 'students' as const,
      experiment: withMethod(students, method),
      folder: compareFolder(folder, method),
    })),
  ];
}

/** Options and weights are those of one method; another one has its own, and teachers only if it asks them. */
function withMethod(experiment: Experiment, method: string): Experiment {
  const { methods: _, temperature: _t, ceWeight: _c, kdWeight: _k, ...schedule } = experiment.distill;
  const peers = asksPeers(method)
    ? experiment.peers
    : experiment.peers.filter(({ role }) => role === 'student');
  return {
    ...experiment,
    distill: { ...schedule, method, options: {}, standardise: false },
    peers,
    compare: [],
  };
}

type Peer = Experiment['peers'][number];

/** The teachers without weights, as students that learn alone under the names that they will teach by. */
function teachersToTrain(experiment: Experiment): Peer[] {
  return named(experiment)
    .filter(({ role, weights }) => role === 'teacher' && weights === undefined)
    .map((peer) => ({ ...peer, role: 'student' }));
}

/** The experiment with weights for every teacher: those that it has not come from the training of the teachers. */
function withWeights(experiment: Experiment, folder: string): Experiment {
  const peers = named(experiment).map((peer) =>
    peer.role === 'teacher' && peer.weights === undefined
      ? { ...peer, weights: join(folder, 'peers', peer.name!, 'weights.safetensors') }
      : peer,
  );
  return experiment.peers.some(({ role }) => role === 'teacher') ? { ...experiment, peers } : experiment;
}

/** One entry for each peer, with its name in the run. */
function named(experiment: Experiment): Peer[] {
  return peerNames(experiment).map(({ weights, ...peer }) => ({
    ...peer,
    count: 1,
    backend: peer.backend as Peer['backend'],
    ...(weights !== undefined && { weights }),
  }));
}

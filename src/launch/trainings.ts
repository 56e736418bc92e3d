import { join } from 'node:path';
import { asksPeers, generationsOf, methodsIn } from '../config/methods.ts';
import { peerNames } from '../config/peers.ts';
import type { Experiment } from '../config/schema.ts';
import { compareFolder } from '../results/runFolder.ts';

/** One of the trainings that a run consists of. */
export interface PlannedTraining {
  /** Whose training it is: teachers, and earlier generations, come first; teachers only where they have no weights yet. */
  readonly kind: 'teachers' | 'students';
  readonly experiment: Experiment;
  readonly folder: string;
  /** Folders of the generations before it, the first one first. */
  readonly earlier: readonly string[];
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
            earlier: [],
          },
        ]),
    ...generations({ ...students, compare: [] }, folder),
    ...experiment.compare.flatMap((method) =>
      generations(withMethod(students, method), compareFolder(folder, method)),
    ),
  ];
}

/** The training of students, and before it those of the generations that they learn from: the first one by itself. */
function generations(experiment: Experiment, folder: string): PlannedTraining[] {
  const count = generationsOf(experiment.distill);
  const folderOf = (generation: number): string => join(folder, 'generations', String(generation));
  const taughtBy = (generation: number): Experiment => ({
    ...experiment,
    peers: named(experiment).map((peer) => ({
      ...peer,
      weights: join(folderOf(generation), 'peers', peer.name!, 'weights.safetensors'),
    })),
  });
  const earlier = Array.from(
    { length: count },
    (_, i): PlannedTraining => ({
      kind: 'teachers',
      experiment: i === 0 ? withMethod(experiment, 'independent') : taughtBy(i - 1),
      folder: folderOf(i),
      earlier: [],
    }),
  );
  const last = count === 0 ? experiment : taughtBy(count - 1);
  return [
    ...earlier,
    { kind: 'students', experiment: last, folder, earlier: earlier.map((each) => each.folder) },
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

/** Quality on a whole labelled set. */
export interface Evaluation {
  /** Share of samples whose largest logit is the true class, 0-1. */
  readonly accuracy: number;
  /** Mean negative log-likelihood of the true class, in nats. */
  readonly nll: number;
  /** Expected calibration error over 15 equal-width bins of confidence, 0-1 (Guo et al. 2017, arXiv 1706.04599). */
  readonly ece: number;
  /** Mean squared distance of the probabilities from the true class, as 1 and 0: 0-2 (Brier 1950). Not all peers tell. */
  readonly brier?: number | undefined;
  /** Share of samples whose true class is among the five largest logits, 0-1; absent with five classes or fewer. */
  readonly top5?: number | undefined;
}

/** The best of the evaluations of a training, chosen by its accuracy on the very set that it is of. */
export interface BestEvaluation extends Evaluation {
  /** Steps before it. */
  readonly step: number;
}

/** One line of `metrics.ndjson`: how a peer's training goes. */
export type MetricsRecord =
  | {
      readonly kind: 'progress';
      readonly time: string;
      readonly peer: string;
      /** Steps done, of `steps`. */
      readonly step: number;
      readonly steps: number;
      /** Means since the last progress record, per sample. */
      readonly loss: number;
      readonly crossEntropy: number;
      readonly distillation: number;
      /** Training accuracy since the last progress record, 0-1, against the labels trained on. */
      readonly accuracy: number;
      readonly learningRate: number;
      readonly distillationWeight: number;
      readonly imagesPerSecond: number;
      /** Share of the time spent waiting for targets, 0-1. */
      readonly waitFraction: number;
    }
  | ({
      readonly kind: 'evaluation';
      readonly time: string;
      readonly peer: string;
      readonly step: number;
    } & Evaluation);

/** What `events.ndjson` records; each is explained in the coordinator's README. */
export type EventName =
  | 'joined'
  | 'started'
  | 'done'
  | 'left'
  | 'lost'
  | 'missed'
  | 'refused'
  | 'revoked'
  | 'malformed'
  | 'failed'
  | 'quarantined'
  | 'released'
  | 'collapsed'
  | 'recovered'
  | 'startedFrom'
  | 'startedFresh'
  | 'resumed'
  | 'journalFailed'
  | 'journalRecovered'
  | 'unsaved'
  | 'saved';

/** One line of `events.ndjson`: joins, leaves, refusals, missed rounds and why. */
export interface EventRecord {
  readonly time: string;
  readonly event: EventName;
  readonly peer?: string;
  readonly round?: number;
  readonly reason?: string;
  /** The WebSocket close code, where a connection ended. */
  readonly code?: number;
  /** The name of the token that the peer joined with. */
  readonly token?: string;
}

/** A backend that does not work on a peer's machine. */
export interface RefusedBackend {
  readonly backend: string;
  readonly reason: string;
}

/** A student that was trained several times, each time taught by the one before (Furlanello et al. 2018, section 3). */
export interface GenerationsSummary {
  /** The first one, which learned alone, is the first; the last one is the peer's `test`. */
  readonly each: readonly Evaluation[];
  /** Their probabilities averaged. */
  readonly ensemble: Evaluation;
}

/** What a student began with that asked for the weights of the best one: those, or its own. */
export type StartedFrom =
  | {
      readonly peer: string;
      /** Updates that the weights had had. */
      readonly step: number;
      /** That peer's accuracy on the test set at its last evaluation before, 0-1. */
      readonly accuracy: number;
    }
  | { readonly peer: null; readonly reason: string };

export interface PeerSummary {
  readonly name: string;
  /** Whether it learned, or taught with weights that stayed as they were. */
  readonly role: 'student' | 'teacher';
  readonly model: string;
  readonly parameters: number;
  readonly backend: string;
  readonly device: string;
  /** The backends that it would have preferred, best first, and why they do not work there. */
  readonly refusedBackends: readonly RefusedBackend[];
  /** How its work ended. */
  readonly outcome: 'finished' | 'interrupted' | 'lost';
  /** Set when the peer's loss stood at the level of guessing: what was seen, and at which step. */
  readonly collapsed?: string;
  /** Why nobody learned from it at the end of the run; null when others did, or nobody was to. */
  readonly quarantined: string | null;
  /** Absent where it did not ask for another one's weights. */
  readonly startedFrom?: StartedFrom;
  readonly steps: number;
  /** Null when the peer ended before its final evaluation. */
  readonly test: Evaluation | null;
  /** Where the experiment asks for it; never in the place of `test`. */
  readonly best?: BestEvaluation;
  /** Absent for a method without generations, and when one of them did not come to its end. */
  readonly generations?: GenerationsSummary;
  readonly imagesPerSecond: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly waitFraction: number;
  /** Mean duration of a training step in milliseconds, waiting included; null when the peer ended before it told. */
  readonly stepMs: number | null;
  /** Time of a step relative to the same peer trained alone in the same run, minus 1; null without such a control. */
  readonly distillationOverhead: number | null;
  /** SHA-256 (hex) of the final weights file. */
  readonly weightsDigest: string | null;
}

/** With what became of all that peers sent, where there was a coordinator. */
export interface ExchangeSummary extends Partial<TrafficSummary> {
  /** Rounds in which at least one student got a target. */
  readonly rounds: number;
  /** (student, round) pairs that were answered without a target, by reason. */
  readonly missed: Readonly<Record<string, number>>;
  /** Mean steps between a prediction and its use; 0 in lockstep. */
  readonly staleness: number;
}

/** Sums over all peers. Nothing is dropped without being counted under a reason. */
export interface TrafficSummary {
  readonly frames: FrameTally;
  readonly contributions: ContributionTally;
  readonly answers: AnswerTally;
  /** Of weights that students exchange, each counted for each receiver: sent and, for want of room, left out. */
  readonly pieces: { readonly sent: number; readonly dropped: number };
}

/** WebSocket messages that came: received = accepted + refused. */
export interface FrameTally {
  readonly received: number;
  readonly accepted: number;
  /** By the name of the close code that each led to; `afterClose`: its connection was being closed already. */
  readonly refused: Readonly<Record<string, number>>;
}

/** What peers said about batches: received = committed + unused + open. */
export interface ContributionTally {
  readonly received: number;
  /** Of rounds that gave at least one student a target. */
  readonly committed: number;
  /** By reason: those of a missed target; `noStudents`, where only teachers had sent; `quarantined`; `repeated` or `recalled`, after a reconnect. */
  readonly unused: Readonly<Record<string, number>>;
  /** Of rounds that were open when the run ended. */
  readonly open: number;
}

/** Contributions received = targets + noTargets + advances + undelivered + unused.repeated + open. */
export interface AnswerTally {
  readonly targets: number;
  readonly noTargets: number;
  readonly advances: number;
  /** To peers that were away when their answer was made. */
  readonly undelivered: number;
  /** Among noTargets, those that took the place of a target that a peer did not read before the next one was made. */
  readonly replaced: number;
}

/** The result of one training with one method: what stands under `compare`, and at the top level of `summary.json`. */
export interface MethodSummary {
  readonly method: string;
  /** Samples in the test set, of which every evaluation used all. */
  readonly testSamples: number;
  readonly peers: readonly PeerSummary[];
  /** The peers' probabilities averaged; null with fewer than two peers that finished. */
  readonly ensemble: Evaluation | null;
  /** Share of test samples on which two peers predict the same class, mean over pairs; null with fewer than two. */
  readonly agreement: number | null;
  readonly exchange: ExchangeSummary;
  readonly interrupted: boolean;
  readonly seconds: number;
}

/** `summary.json` of a run folder. */
export interface RunSummary extends MethodSummary {
  readonly schemaVersion: 1;
  /** The experiment as resolved, all defaults filled in. */
  readonly experiment: unknown;
  /** The same peers trained with other methods, by method. */
  readonly compare: Readonly<Record<string, MethodSummary>>;
  /** What the comparison says, in words. */
  readonly verdict: string | null;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGiB: number;
    readonly node: string;
  };
}

/** One peer of a run in progress. */
export interface PeerStatus {
  readonly name: string;
  readonly role: 'student' | 'teacher';
  readonly model: string;
  readonly backend: string;
  readonly device: string;
  /** As in its summary; `null` until it is ready. */
  readonly refusedBackends: readonly RefusedBackend[] | null;
  /** The name of the token that it joined with; absent where the run has none. */
  readonly token?: string;
  /** The public key that its name belongs to, in base64url; absent when it belongs to none. */
  readonly key?: string;
  readonly connected: boolean;
  readonly state: 'joining' | 'ready' | 'training' | 'done' | 'lost';
  /** Steps done, of `steps`. */
  readonly step: number;
  readonly steps: number;
  /** As in its last progress record; null before the first. */
  readonly loss: number | null;
  /** Training accuracy, 0-1. */
  readonly accuracy: number | null;
  /** Accuracy of its last evaluation, 0-1; null before the first. */
  readonly testAccuracy: number | null;
  readonly imagesPerSecond: number;
  /** Share of the time spent waiting for targets, 0-1. */
  readonly waitFraction: number;
  /** Set when the peer's loss stands at the level of guessing: what was seen, and at which step. */
  readonly collapsed: string | null;
  /** Why nobody learns from it: what is wrong with its predictions; null when others do, or nobody is to. */
  readonly quarantined: string | null;
}

/**
 * One thing that a run waits for: peers that are to `join` or to `load`; a `round`, for those who have not sent; the
 * `students`, where teachers are early; a peer that is `away`; `weights`, for whom sends them to a student that is to begin
 * with them; the `end`, for students that are not done; a `drain`, for results of peers when the run is stopped.
 */
export interface WaitStatus {
  readonly kind: 'join' | 'load' | 'round' | 'students' | 'away' | 'weights' | 'end' | 'drain';
  readonly peers: readonly string[];
  /** How long it has lasted; null where that is not known. */
  readonly seconds: number | null;
}

/** How a run goes: what the coordinator serves as `/status.json`. */
export interface RunStatus {
  readonly run: string;
  readonly method: string;
  readonly phase: 'waiting' | 'training' | 'finished';
  /** For whom or what the run waits, since when, and what happens next, in a sentence; null while it goes on. */
  readonly waitingFor: string | null;
  /** The same as data, wait by wait; absent of a training without a coordinator. */
  readonly waits?: readonly WaitStatus[];
  readonly peers: readonly PeerStatus[];
  readonly rounds: {
    /** Rounds closed with a target for at least one student. */
    readonly committed: number;
    /** (student, round) pairs that were answered without a target. */
    readonly missed: number;
  };
  /** Since the coordinator started this run. */
  readonly seconds: number;
}

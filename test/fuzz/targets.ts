import { files } from './files.ts';
import { frames, messages } from './frames.ts';
import { runs } from './run.ts';
import { sessions } from './session.ts';
import type { Target } from './target.ts';

/** All that is fuzzed without sockets; their shares are a hundred together. */
export const targets = [frames, messages, runs, sessions, files] as readonly Target<unknown>[];

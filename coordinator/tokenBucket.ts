/** How much may come at once, and how much in the long run. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** What is left of a {@link Rate}. */
export interface TokenBucket {
  tokens: number;
  atMs: number;
}

export function createTokenBucket({ burst }: Rate, nowMs: number): TokenBucket {
  return { tokens: burst, atMs: nowMs };
}

/** Takes one; whether there was one. */
export function takeToken(bucket: TokenBucket, { burst, perSecond }: Rate, nowMs: number): boolean {
  bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSecond);
  bucket.atMs = nowMs;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

/** Numbers as people read them. What is absent, or not finite, is a dash. */

const ABSENT = '–';

/** `0.1234` as `0.123`; the largest number, which stands for what is beyond all numbers, as `∞`. */
export function decimal(value: number | null, digits: number): string {
  if (value === Number.MAX_VALUE) return '∞';
  return value === null || !Number.isFinite(value) ? ABSENT : value.toFixed(digits);
}

/** A share of 0-1 as `77.9 %`. */
export function percent(share: number | null): string {
  return share === null || !Number.isFinite(share) ? ABSENT : `${(share * 100).toFixed(1)} %`;
}

/** A difference of shares as percentage points with a sign: `+5.6`, `-0.4`, `0.0`. */
export function points(difference: number | null): string {
  if (difference === null || !Number.isFinite(difference)) return ABSENT;
  const text = (difference * 100).toFixed(1);
  if (Number(text) === 0) return '0.0';
  return difference > 0 ? `+${text}` : text;
}

/** `12345678` as `12.3 MB`; decimal units. */
export function byteSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  // 999.95 would be printed as 1000.0.
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** `125` seconds as `2 min 5 s`; the two largest units. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return ABSENT;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `1234567` as `1,234,567`. */
export function count(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** `img/s` without decimals that nobody reads. */
export function rate(perSecond: number): string {
  return perSecond < 10 ? decimal(perSecond, 1) : count(perSecond);
}

/** `a`, `a and b`, `a, b and c`. */
export function list(words: readonly string[]): string {
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`;
}

/** Text cut to `width` characters, the last one an ellipsis. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

/** Text in lines of at most `width` characters, broken between words. */
export function wrap(text: string, width: number): string {
  let line = '';
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join('\n');
}

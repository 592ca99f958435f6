const MAX_LENGTH = 256
const SHAPE = /^http:\/\/(?:127\.0\.0\.1|\[::1\]):[1-9]\d{0,4}\/[\w~./-]*$/

/**
 * Whether a redirect URI leads to the person's own machine and nowhere else: `http`, one of the two loopback addresses
 * themselves and no name for them, a port, and a path without anything behind it.
 *
 * @see RFC 8252 sections 7.3 and 8.3
 */
export function isLoopbackRedirect(text: string): boolean {
  // What a URL parser would write in another way (a port too high, dot segments) has two readings.
  return text.length <= MAX_LENGTH && SHAPE.test(text) && URL.parse(text)?.href === text
}

/*
 * Preloaded into a program that must not outlive whoever started it: standard input is a pipe that the parent
 * holds, and it ends when the parent does, however that went.
 */
process.stdin.once('end', () => process.exit(1))
process.stdin.once('error', () => process.exit(1))
process.stdin.resume()
if ('unref' in process.stdin && typeof process.stdin.unref === 'function') process.stdin.unref()

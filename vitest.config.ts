import { defineConfig } from 'vitest/config'

const minutes = 60_000
/** How long a test may take, and wait for what has to come: long enough that only what hangs is cut off, on any machine. */
const patient = {
  testTimeout: minutes,
  hookTimeout: minutes,
  expect: { poll: { timeout: minutes / 2 } },
}
/** Files that share nothing but modules, of which none keeps state, and that mostly wait: for the network, or for a process. */
const sharingModules = { isolate: false, maxWorkers: 3 }

export default defineConfig({
  test: {
    teardownTimeout: minutes,
    reporters: ['default', './workshop/closing-line-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          ...patient,
          ...sharingModules,
          include: [
            'src/**/*.test.ts',
            'workshop/**/*.test.ts',
            'test/conformance/**/*.test.ts',
            'test/contract/**/*.test.ts',
          ],
        },
      },
      {
        test: {
          name: 'integration',
          ...patient,
          ...sharingModules,
          include: ['test/integration/**/*.test.ts'],
        },
      },
      {
        test: {
          name: 'security',
          ...patient,
          ...sharingModules,
          include: ['test/security/**/*.test.ts'],
        },
      },
      {
        test: {
          name: 'e2e',
          ...patient,
          include: ['test/e2e/**/*.test.ts', 'sandbox/**/*.test.ts', 'demo/**/*.test.ts'],
          testTimeout: 3 * minutes,
          hookTimeout: 15 * minutes,
          maxWorkers: 2,
          maxConcurrency: 4,
          // Behind the others, which take another number of workers.
          sequence: { groupOrder: 1 },
          globalSetup: 'test/e2e/surroundings.ts',
        },
      },
    ],
  },
})

import { expect, test } from 'vitest'
import { hasBrowser } from './browser.ts'

test.for([
  ['darwin', {}, true],
  ['win32', {}, true],
  ['linux', {}, false],
  ['linux', { DISPLAY: '' }, false],
  ['linux', { DISPLAY: ':0' }, true],
  ['linux', { WAYLAND_DISPLAY: 'wayland-0' }, true],
  ['linux', { BROWSER: '/usr/bin/open-on-laptop' }, true],
  ['linux', { SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, false],
] as const)('on %s with %o a browser can come up: %o', ([platform, env, expected]) => {
  expect(hasBrowser(env, platform)).toBe(expected)
})

/**
 * Header lines as they stood on the wire: name, value, name, value, … (Node's `rawHeaders`).
 * Names keep their case and repeated lines stay apart; values are latin1 strings, one character a byte.
 */
export type RawHeaders = readonly string[]

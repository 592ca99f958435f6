/** The media type of an asciicast, version 2: lines of JSON. */
export const ASCIICAST = 'application/x-asciicast'

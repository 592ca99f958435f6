/** How the marker begins that is the last event for a follower who was let go before the session's end. */
export const FOLLOWING_ENDED = 'following ended: '

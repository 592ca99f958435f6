import { pipeline } from 'node:stream/promises'
import type { RequestHandler } from 'express'
import type { RecordingManifest } from '../audit/recording/recording-manifest.ts'
import type { RecordingStore } from '../audit/recording-store/recording-store.ts'
import { renderHumanDuration } from '../kube/human-duration.ts'
import { failure, notFound, StatusError } from '../kube/status.ts'
import { API_VERSION, column, renderObject, renderObjectList, renderTime, type ObjectKind } from './api-object.ts'
import { ASCIICAST } from './asciicast.ts'
import type { AuditedCalls, Call } from './audited-call.ts'
import { refuseDeleteOptions } from './delete-options.ts'
import { parseObjectFormat } from './object-format.ts'
import { pageOf, wantedPage, type Place } from './page.ts'
import { deleted, respond } from './respond.ts'
import { decideAction, requireAction, type Authorize, type SessionAction } from './session-rights.ts'

/** Longest sealed part of a manifest that a list repeats, in characters; most hold a command and little else. */
const MAX_LISTED_SEAL = 64 * 1024
/** Ids of recordings; no store is asked for anything else. */
const RECORDING_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const SEE: Omit<SessionAction, 'verb'> = { resource: 'recordings', subresource: '', ownersRight: true }
const LIST: SessionAction = { ...SEE, verb: 'list' }
const GET: SessionAction = { ...SEE, verb: 'get' }
const CAST: SessionAction = { ...SEE, verb: 'get', subresource: 'cast' }
/** Evidence is nobody's own to destroy. */
const DELETE: SessionAction = { ...SEE, verb: 'delete', ownersRight: false }

const recordingKind: ObjectKind<RecordingManifest> = {
  kind: 'Recording',
  columns: [
    column('Name', 'Id of the recording and of its session', { format: 'name' }),
    column('Kind', 'exec, attach or portforward'),
    column('User', 'Who opened the session'),
    column('Socket', 'Where'),
    column('Namespace', 'Namespace of the pod'),
    column('Pod', 'Pod that it went to'),
    column('State', 'recording, complete or incomplete'),
    column('Age', 'How long ago it began'),
    column('Duration', 'How long the session lasted', { priority: 1 }),
    column('Exit', 'Exit code of an exec', { priority: 1 }),
    column('Command', 'What an exec ran', { priority: 1 }),
  ],
  cells: ({ session, state, outcome, incomplete }) => [
    session.id,
    session.kind,
    session.username,
    session.socket,
    session.namespace,
    session.pod,
    incomplete === '' ? state : 'incomplete',
    renderHumanDuration(Date.now() - session.startedAtMs),
    outcome === null ? '' : renderHumanDuration(outcome.endedAtMs - session.startedAtMs),
    outcome?.exitCode?.toString() ?? '',
    session.command.join(' '),
  ],
  toObject: ({ apiVersion: _version, kind: _kind, session, ...status }) => ({
    apiVersion: API_VERSION,
    kind: 'Recording',
    metadata: { name: session.id, creationTimestamp: renderTime(session.startedAtMs) },
    spec: session,
    status,
  }),
}

interface RecordingHandlers {
  readonly list: RequestHandler
  readonly get: RequestHandler
  readonly remove: RequestHandler
  /** The asciicast as it is stored. */
  readonly cast: RequestHandler
}

/**
 * What is answered about recordings. People see those of their own sessions, and those that the policies grant them;
 * deleting always has to be granted.
 */
export function recordingHandlers({
  recordings,
  isUnderWay,
  authorize,
  callOf,
}: {
  /** Null when nothing is kept. */
  readonly recordings: RecordingStore | null
  /** Whether there is a session of this id now. */
  readonly isUnderWay: (id: string) => boolean
  readonly authorize: Authorize
  readonly callOf: AuditedCalls['callOf']
}): RecordingHandlers {
  /** @throws StatusError 403 and 404. */
  const findFor = async (action: SessionAction, call: Call): Promise<[RecordingStore, RecordingManifest]> => {
    const { name } = call.requestInfo
    const manifest = recordings !== null && RECORDING_ID.test(name) ? await recordings.manifest(name) : null
    if (recordings === null || manifest === null) throw notFound('postern.dev', 'recordings', name)
    requireAction(action, manifest.session, call, authorize)
    return [recordings, manifest]
  }

  return {
    async list(request, response) {
      const call = callOf(response)
      const format = parseObjectFormat('recordings', request.url, request.rawHeaders)
      const wanted = wantedPage(call.query)
      const all = (await recordings?.list()) ?? []
      const isSeen = (manifest: RecordingManifest): boolean =>
        decideAction(LIST, manifest.session, call, authorize).effect === 'allow'
      const { page, rest } = pageOf(all, { placeOf, isSeen, ...wanted })
      respond(response, 200, renderObjectList(recordingKind, page.map(withoutDetails), format, rest))
    },
    async get(request, response) {
      const format = parseObjectFormat('recordings', request.url, request.rawHeaders)
      const [, manifest] = await findFor(GET, callOf(response))
      respond(response, 200, renderObject(recordingKind, manifest, format))
    },
    async remove(request, response) {
      const call = callOf(response)
      refuseDeleteOptions(request, call.query)
      const [store, { session }] = await findFor(DELETE, call)
      if (isUnderWay(session.id))
        throw new StatusError(failure(409, 'Conflict', `recording ${session.id} is still under way`))
      if (!(await store.remove(session.id))) throw notFound('postern.dev', 'recordings', session.id)
      respond(response, 200, deleted('recordings', session.id))
    },
    async cast(request, response) {
      const [store, { session }] = await findFor(CAST, callOf(response))
      const stored = await store.read(session.id)
      if (stored === null) throw notFound('postern.dev', 'recordings', session.id)
      response.setHeader('Content-Type', ASCIICAST)
      if (request.method === 'HEAD') {
        stored.destroy()
        response.end()
        return
      }
      try {
        await pipeline(stored, response)
      } catch (error) {
        // Who leaves early is no failure of ours.
        if (!isPrematureClose(error)) throw error
      }
    },
  }
}

function placeOf({ session }: RecordingManifest): Place {
  return { id: session.id, atMs: session.startedAtMs }
}

/**
 * A manifest as a list shows it: of its long parts only how many entries there are, among those that are not listed.
 */
function withoutDetails({ sealed = '', ...manifest }: RecordingManifest): RecordingManifest {
  return {
    ...manifest,
    ...(sealed !== '' && sealed.length <= MAX_LISTED_SEAL && { sealed }),
    connections: [],
    droppedConnections: manifest.droppedConnections + manifest.connections.length,
    files: [],
    droppedFiles: manifest.droppedFiles + manifest.files.length,
    chunks: [],
  }
}

function isPrematureClose(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
}

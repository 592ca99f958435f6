import type { Logger } from 'pino'
import type { ConnectorConfig } from '../config/connector-config.ts'
import { type ListenerCertificateEvents, ListenerCertificates } from '../config/listener-certificates.ts'

/** The certificates of both TLS listeners, which the caller stops watching. */
export function openCertificates(config: ConnectorConfig, log: Logger): Promise<ListenerCertificates> {
  const events: ListenerCertificateEvents = {
    onTrial(notice) {
      log.warn(notice, 'certificate.trial: nobody vouches for it; give listeners without it a certificate under tls')
    },
    onReplaced(listener, inForce) {
      const ends = inForce.map(({ notAfterMs }) => new Date(notAfterMs).toISOString())
      log.info({ listener, ends }, 'certificate.replaced')
    },
    onRefused(listener, problem) {
      log.error({ listener, error: problem }, 'certificate.refused')
    },
    onMended(listener) {
      log.info({ listener }, 'certificate.mended')
    },
  }
  return ListenerCertificates.open(config, events, config.identity.clientCertificates?.authorities ?? null)
}

/** Something that can go wrong for a person who signs in, or whose kubectl asks for a token. */
export interface LoginTrouble {
  /** What happened, as the table in docs/troubleshooting.md tells it. Markdown. */
  readonly happened: string
  /**
   * The one line on stderr, without `postern: `. The portal is https://postern.example.com, the issuer
   * https://sso.example.com, the home `~`; `CODE` stands for a code of the operating system.
   */
  readonly line: string
  /** What the line leaves out: who can mend it, and how. Markdown. */
  readonly more: string
  /** As docs/client.md has it: 1 unless said, 64 for wrong arguments, 0 where the command did what it was asked to. */
  readonly exitCode?: 0 | 1 | 64
}

/** The table in docs/troubleshooting.md. test/integration/client-troubles.test.ts brings every row about. */
export const LOGIN_TROUBLES = {
  'portal unreachable': {
    happened: 'The portal does not answer',
    line: 'https://postern.example.com cannot be reached (CODE); look at the network and try again',
    more: 'A VPN that is off, or a proxy: `HTTPS_PROXY` and `NO_PROXY` are honoured.',
  },
  'portal untrusted': {
    happened: 'The certificate of the portal is from a private authority',
    line: "the certificate of postern.example.com is signed by an authority that this machine does not trust (UNABLE_TO_VERIFY_LEAF_SIGNATURE); ask for that authority's certificate",
    more: 'Then `client login --certificate-authority FILE`. It is kept with the login, so later commands need no flag.',
  },
  'portal misnamed': {
    happened: 'The certificate of the portal is for another name',
    line: 'the certificate of postern.example.com is for another name (ERR_TLS_CERT_ALTNAME_INVALID); look at the address, or ask whoever runs it',
    more: 'For the operator: the names and addresses that people use have to be in the certificate of `listen.portal.tls`.',
  },
  'portal expired': {
    happened: 'The certificate of the portal has ended',
    line: 'the certificate of postern.example.com does not hold (CERT_HAS_EXPIRED); ask whoever runs it, and look at the clock of this machine',
    more: '`postern_certificate_not_after_seconds` of the connector tells when it ends.',
  },
  'no portal': {
    happened: 'Something else answers there',
    line: 'https://postern.example.com does not answer as a Postern portal (/.well-known/postern: HTTP 404); look at the address',
    more: 'The portal has an address of its own, which is not the one that kubectl uses.',
  },
  'several issuers': {
    happened: 'The portal has several issuers, and nobody can be asked which',
    line: 'name one of the issuers of https://postern.example.com with --issuer: https://other.example.com, https://sso.example.com',
    more: 'On a terminal it is a question.',
    exitCode: 64,
  },
  'several portals': {
    happened: 'You are signed in to several portals, and a command does not know which',
    line: 'you are signed in to several portals; name one with --portal or POSTERN_PORTAL: https://postern.example.com, https://other.example.com',
    more: '`export POSTERN_PORTAL=postern.example.com` makes one of them yours. A kubeconfig names its portal itself.',
    exitCode: 64,
  },
  'issuer unreachable': {
    happened: 'The identity provider is down',
    line: 'https://sso.example.com cannot be reached (CODE); look at the network and try again',
    more: 'kubectl goes on for as long as the ID token holds; a login is not lost by it.',
  },
  'issuer broken': {
    happened: 'The identity provider answers with an error of its own',
    line: 'https://sso.example.com answered HTTP 503; try again later',
    more: '',
  },
  'issuer untrusted': {
    happened: 'The certificate of the identity provider is from a private authority',
    line: "the certificate of sso.example.com is signed by an authority that this machine does not trust (UNABLE_TO_VERIFY_LEAF_SIGNATURE); ask for that authority's certificate",
    more: '`issuer.certificateAuthority` of the connector names it, and people’s machines are told.',
  },
  'issuer misnamed': {
    happened: 'The certificate of the identity provider is for another name',
    line: 'the certificate of sso.example.com is for another name (ERR_TLS_CERT_ALTNAME_INVALID); look at the address, or ask whoever runs it',
    more: '`issuer.url` of the connector is where people’s machines look for it, too.',
  },
  'issuer expired': {
    happened: 'The certificate of the identity provider has ended',
    line: 'the certificate of sso.example.com does not hold (CERT_HAS_EXPIRED); ask whoever runs it, and look at the clock of this machine',
    more: 'kubectl goes on for as long as the ID token holds; a login is not lost by it.',
  },
  'another issuer': {
    happened: 'The identity provider calls itself by another URL',
    line: 'https://sso.example.com did not answer as OpenID Connect asks (discovered metadata issuer does not match the expected issuer); ask whoever runs it',
    more: '`identity.issuers[].issuer.url` of the connector has to be what the discovery document says, slash for slash.',
  },
  'wrong redirect': {
    happened:
      'The browser shows an error of the identity provider, such as an unknown redirect URI, and never comes back; or you closed it',
    line: 'nobody signed in within 1 s; sign in again, and if https://sso.example.com showed an error, send that to whoever runs it',
    more: 'Redirect URIs are `http://127.0.0.1:PORT/PATH`, any port and path (RFC 8252). For a provider that wants an exact list: `client.redirectHost`, `redirectPath` and `redirectPorts` of the issuer. `--timeout` waits longer than 3 minutes.',
  },
  'client refused': {
    happened: 'The identity provider does not let the client do this',
    line: 'https://sso.example.com refused the login: unauthorized_client (no code flow for you); sign in again, or ask whoever runs it',
    more: 'The client has to be a public (native) one with the authorization code and refresh token grants.',
  },
  'scope refused': {
    happened: 'The identity provider does not know a scope',
    line: 'https://sso.example.com refused the login: invalid_scope; sign in again, or ask whoever runs it',
    more: '`client.scopes` of the issuer.',
  },
  'consent denied': {
    happened: 'You, or a rule of your organization, said no',
    line: 'https://sso.example.com refused the login: access_denied; sign in again, or ask whoever runs it',
    more: '',
  },
  'secret wanted': {
    happened: 'The client is registered with a secret',
    line: 'https://sso.example.com answered 401: invalid_client (no secret); client "postern" has to be a public one that may do this: ask whoever runs it',
    more: 'No secret belongs on a laptop: `client.secret` of the issuer gives it to the portal, which then speaks to the provider. Or make the client a public one; at Microsoft Entra ID the platform is “Mobile and desktop applications”, and public client flows are allowed.',
  },
  'secret refused': {
    happened: 'The identity provider does not take the secret that the portal has for it',
    line: 'https://sso.example.com answered 400: server_error (the identity provider refuses the client of the gateway, invalid_client); ask whoever runs it',
    more: 'For the operator: it ended or was replaced. A new one in the file of `client.secret` counts at once, and nobody loses a login. The log (`portal.failed`) says what the provider said; one that takes a secret in one way only wants `client.tokenEndpointAuthMethod`.',
  },
  'too long at the issuer': {
    happened: 'With a portal that speaks to the identity provider: signing in there took longer than 10 minutes',
    line: 'https://sso.example.com refused the login: access_denied (it took longer than 10 minutes); sign in again, or ask whoever runs it',
    more: '',
  },
  'code refused': {
    happened: 'The code came too late, or twice',
    line: 'https://sso.example.com answered 400: invalid_grant (code was used); sign in again, or ask whoever runs it',
    more: '',
  },
  'no ID token': {
    happened: 'The identity provider signs in but gives no ID token',
    line: 'https://sso.example.com did not answer as OpenID Connect asks ("response" body "id_token" property must be a string); ask whoever runs it',
    more: '`openid` has to be among `client.scopes`.',
  },
  'clock ahead': {
    happened: 'The clock of this machine is wrong',
    line: "the ID token of https://sso.example.com is not good at this time: the clock of this machine is about 15 min ahead, or the issuer's is off; set it and sign in again",
    more: '30 s do not matter. `timedatectl` shows whether the clock is kept.',
  },
  'wrong audience': {
    happened: 'The gateway wants a token for another audience, or one that it cannot map to a name',
    line: 'https://postern.example.com does not take your login: the token is meant for another audience; ask whoever runs it',
    more: 'Nothing was kept. `identity.issuers[]` of the connector: `issuer.audiences`, `claimMappings`, `claimValidationRules`.',
  },
  'clock of the connector': {
    happened: 'The clock of the connector is behind, or that of the identity provider ahead',
    line: 'https://postern.example.com does not take your login: the token was issued in the future; ask whoever runs it',
    more: '30 s do not matter.',
  },
  'connector without keys': {
    happened: 'The connector cannot reach the identity provider, though you can',
    line: 'https://postern.example.com answered 503: the identity provider cannot be reached, so the token cannot be checked; try again shortly',
    more: '`/readyz?verbose` of the connector says why, beside `issuer/`.',
  },
  'groups left out': {
    happened: 'You are in more groups than the identity provider puts into a token',
    line: 'https://postern.example.com does not take your login: the issuer left your groups out of the token because they are too many; an administrator there has to limit them to those assigned to this application, or use application roles, or the connector has to be told where to ask for them ("groupsFrom"); ask whoever runs it',
    more: 'See [groups beyond the token](identity.md#groups-beyond-the-token).',
  },
  'groups source down': {
    happened: 'The connector looks your groups up elsewhere, and nobody answers there',
    line: 'https://postern.example.com answered 503: your groups cannot be looked up now, and nothing is decided without; try again shortly',
    more: 'For the operator: the log says why. See [groups beyond the token](identity.md#groups-beyond-the-token).',
  },
  'groups source refuses': {
    happened: 'The connector looks your groups up at the identity provider, which does not take your token there',
    line: 'https://postern.example.com does not take your login: your groups cannot be looked up: the issuer does not take this token at its userinfo endpoint; ask whoever runs it',
    more: 'Not every provider takes ID tokens at its userinfo endpoint: `groupsFrom` of the issuer has to be another, or the groups have to be in the token.',
  },
  'unknown to the directory': {
    happened: 'The connector looks your groups up in a directory, which does not have you',
    line: 'https://postern.example.com does not take your login: your groups cannot be looked up: the directory does not know you; ask whoever runs it',
    more: '`groupsFrom.graph.memberClaim` of the issuer names the claim that tells who you are there.',
  },
  'groups too many': {
    happened: 'You are in more than 1,000 groups',
    line: 'https://postern.example.com does not take your login: the "groups" claim of the token has more than 1000 entries; ask whoever runs it',
    more: 'Have the identity provider put only those into tokens that are assigned to the application.',
  },
  'token too long': {
    happened: 'Your token is longer than the gateway reads, mostly for the names of your groups',
    line: 'https://postern.example.com does not take your login: the token is longer than 61440 characters, as one with very many groups may be; ask whoever runs it',
    more: '`limits.maxHeaderSize` of the connector, less 4 KiB; or fewer groups in tokens.',
  },
  'login revoked': {
    happened:
      'The login was revoked at the gateway, or you signed out, and the identity provider does not say that you signed in anew',
    line: 'https://postern.example.com does not take your login: this login was revoked by ana@example.com, and the identity provider shows no sign-in that is newer; sign in again in a minute, or ask whoever runs it',
    more: '`client login` has asked you to prove anew who you are by then, once. Clocks may be apart; else the provider has to send `auth_time` or a new `sid`: see [logins.md](logins.md#which-tokens-are-one-login).',
  },
  'port blocked': {
    happened: 'Every port that the browser may come back to is in use',
    line: 'none of the ports PORT of 127.0.0.1 can be listened on (CODE), which are all that the identity provider knows; free one of them and sign in again',
    more: '`lsof -i :PORT` says who has it: often a login that still waits. More ports: `client.redirectPorts` of the issuer.',
  },
  'no device flow': {
    happened: '`--device` where it is not allowed',
    line: 'https://postern.example.com does not let people sign in at https://sso.example.com with a code; sign in without --device, or ask whoever runs it',
    more: '`client.deviceAuthorization: true` of the issuer. It is off until somebody wants it, since a code can be phished.',
  },
  'device code expired': {
    happened: 'The code on the other device was not used in time',
    line: 'nobody signed in with the code in time; sign in again, and if https://sso.example.com showed an error, send that to whoever runs it',
    more: '',
  },
  'device denied': {
    happened: 'The code was denied on the other device',
    line: 'https://sso.example.com refused the login: access_denied; sign in again, or ask whoever runs it',
    more: '',
  },
  'not signed in': {
    happened: 'There is no login, or its file is damaged',
    line: 'you are not signed in to https://postern.example.com; run: postern client login --portal https://postern.example.com',
    more: '`client status` lists all logins, and files that cannot be used.',
  },
  'login ended': {
    happened: 'kubectl, without a terminal: the login was revoked, or is too old',
    line: 'your login at https://postern.example.com has ended (https://sso.example.com answered 400: invalid_grant (revoked)); run: postern client login --portal https://postern.example.com',
    more: 'On a terminal with a screen, kubectl opens the browser instead.',
  },
  'no ID token at renewal': {
    happened: 'kubectl: the identity provider renews logins without an ID token',
    line: 'your login at https://postern.example.com has ended (the identity provider gave no ID token, which its operator has to allow); run: postern client login --portal https://postern.example.com',
    more: 'Some providers give one only when the refresh request has scope `openid`, or by a setting of the client.',
  },
  'renewal for somebody else': {
    happened: 'kubectl: the identity provider renews the login for somebody else',
    line: 'your login at https://postern.example.com has ended (the identity provider answered the refresh for somebody else); run: postern client login --portal https://postern.example.com',
    more: 'The `sub` of a person has to stay the same. Tell whoever runs the provider: a token of another person was given out.',
  },
  'issuer unreachable at renewal': {
    happened: 'kubectl: the identity provider is down, and the ID token has ended',
    line: 'https://sso.example.com cannot be reached (CODE); look at the network and try again',
    more: 'The login is kept.',
  },
  'nobody signed in': {
    happened: 'kubectl: a browser was opened less than 30 s ago, and nobody signed in',
    line: 'your login at https://postern.example.com has ended, and no new one came of it (nobody signed in within 180 s); run: postern client login --portal https://postern.example.com',
    more: 'Programs that retry would open a browser each time. `interactiveMode: Never` in the kubeconfig keeps kubectl from opening any.',
  },
  'cache open to others': {
    happened: 'The file of a login can be read by others',
    line: "~/cache/postern/logins/LOGIN is open to other accounts; run: chmod 600 '~/cache/postern/logins/LOGIN'",
    more: 'Who else could read it? `client logout` makes the refresh token worthless.',
  },
  'cache of another account': {
    happened: 'The file of a login belongs to somebody else',
    line: '~/cache/postern/logins/LOGIN belongs to another account; remove it and sign in again',
    more: 'Often a `sudo postern` came before.',
  },
  'cache odd': {
    happened: 'A directory, a pipe or a link is in the place of a login',
    line: '~/cache/postern/logins/LOGIN is no ordinary file; remove it and try again',
    more: 'Logins are replaced as a whole, so a link to one does not last: link the directory, or use `XDG_CACHE_HOME`.',
  },
  'cache unreadable': {
    happened: 'The place for logins cannot be read',
    line: '~/cache/postern/logins/PORTAL cannot be read (CODE); mend that, or keep logins elsewhere with --cache-directory or XDG_CACHE_HOME',
    more: '`ls -l` tells whose it is: often a `sudo postern` came before.',
  },
  'cache unwritable': {
    happened: 'The place for logins cannot be written',
    line: '~/cache/postern/logins/PORTAL cannot be written (CODE); mend that, or keep logins elsewhere with --cache-directory or XDG_CACHE_HOME',
    more: 'A full disk, a home that is read-only, or somebody else’s directory. It is looked at before anybody signs in, and before a login is renewed.',
  },
  'renewed login not kept': {
    happened: 'kubectl: the login was renewed, and then the file could not be written',
    line: 'your login was renewed for this call only: ~/cache/postern/logins/LOGIN cannot be written (CODE); mend that, or keep logins elsewhere with --cache-directory or XDG_CACHE_HOME',
    more: 'The call goes on, and the command does not fail. Where the identity provider takes a refresh token once only, the next call asks you to sign in again.',
    exitCode: 0,
  },
  'lock of another account': {
    happened: 'The lock beside the logins belongs to somebody else',
    line: '~/cache/postern/logins/PORTAL/lock belongs to another account; remove it and try again',
    more: 'Often a `sudo postern` came before. Nothing is in the file.',
  },
  'lock unusable': {
    happened: 'The lock beside the logins cannot be locked, as on some network file systems',
    line: '~/cache/postern/logins/PORTAL/lock cannot be locked (unable to open database file); mend that, or keep logins elsewhere with --cache-directory or XDG_CACHE_HOME',
    more: 'SQLite says in the brackets what it is. A directory on a disk of this machine always does. A token that still holds goes on.',
  },
  'cache busy': {
    happened: 'Another `postern` hangs while it renews the login',
    line: 'another postern process holds ~/cache/postern/logins/PORTAL/lock for more than 30 s; end it and try again',
    more: '`fuser FILE` says which it is. It lets go when it ends, however it ends.',
  },
  'another version': {
    happened: 'kubectl: the exec entry of the kubeconfig has an old version',
    line: 'kubectl asks for a credential in version "client.authentication.k8s.io/v1alpha1"; set the apiVersion of the exec entry in the kubeconfig to client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1',
    more: '`client kubeconfig set` writes it right.',
    exitCode: 64,
  },
} as const satisfies Readonly<Record<string, LoginTrouble>>

export type LoginTroubleName = keyof typeof LOGIN_TROUBLES

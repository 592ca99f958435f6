import { describe, expect, test } from 'vitest'
import { StatusError } from '../kube/status.ts'
import { parseRequest } from '../kube/parsed-request.ts'
import { askedRequest } from './asked-request.ts'
import { describeRequest } from './describe-request.ts'
import { WordsError, splitWords } from './kubectl-words.ts'

const ask = (text: string) => askedRequest(splitWords(text))

describe('words of kubectl', () => {
  test.each<[words: string, request: string, ...also: string[]]>([
    ['get pods', 'list pods in default'],
    ['kubectl get pods', 'list pods in default'],
    ['get pods -n prod', 'list pods in prod'],
    ['get -n prod pods', 'list pods in prod'],
    ['get pods --namespace=prod', 'list pods in prod'],
    ['get pods -A', 'list pods'],
    ['get pods -w', 'watch pods in default'],
    ['get pods -l app=web -o wide', 'list pods in default'],
    ['get pods/web -n prod', 'get pods web in prod'],
    ['get po web', 'get pods web in default'],
    ['get Pod web', 'get pods web in default'],
    ['get deploy/web', 'get deployments.apps web in default'],
    ['get deployments.v1.apps/web', 'get deployments.apps web in default'],
    ['get nodes', 'list nodes'],
    ['get no n1 -n ignored', 'get nodes n1'],
    ['get ns/prod', 'get namespaces prod in prod'],
    ['get ns prod -w', 'watch namespaces prod'],
    ['create namespace prod', 'create namespaces'],
    ['delete ns prod', 'delete namespaces prod in prod'],
    ['get pods -nprod -owide', 'list pods in prod'],
    ['get pods --field-selector metadata.name=web', 'list pods web in default'],
    ['get pods --field-selector=metadata.name=web -w', 'watch pods web in default'],
    ['get pods --field-selector status.phase=Running', 'list pods in default'],
    ['get ingress', 'list ingresses.networking.k8s.io in default'],
    ['get netpol', 'list networkpolicies.networking.k8s.io in default'],
    ['get sc', 'list storageclasses.storage.k8s.io'],
    ['get widgets.example.com/a -n prod', 'get widgets.example.com a in prod'],
    ['get widgets.v1beta1.example.com -A', 'list widgets.example.com'],
    ['get deploy/web --subresource scale', 'get deployments.apps/scale web in default'],
    ['describe svc web', 'get services web in default'],
    ['logs web -f -c app', 'get pods/log web in default', 'get pods web in default'],
    ['logs -p web', 'get pods/log web in default', 'get pods web in default'],
    ['logs web -fp --tail 5', 'get pods/log web in default', 'get pods web in default'],
    ['logs deploy/web', 'get pods/log in default', 'get deployments.apps web in default', 'list pods in default'],
    ['exec web -n prod', 'create pods/exec web in prod', 'get pods web in prod'],
    ['exec -it web -c app -- sh -c "ls -n x"', 'create pods/exec web in default', 'get pods web in default'],
    ['exec pod/web', 'create pods/exec web in default', 'get pods web in default'],
    ['attach web', 'create pods/attach web in default', 'get pods web in default'],
    ['port-forward web 8080:80', 'create pods/portforward web in default', 'get pods web in default'],
    [
      'port-forward svc/web 8080:80',
      'create pods/portforward in default',
      'get services web in default',
      'list pods in default',
    ],
    ['cp web:/tmp/a .', 'create pods/exec web in default', 'get pods web in default'],
    ['cp ./a prod/web:/tmp/a', 'create pods/exec web in prod', 'get pods web in prod'],
    ['debug web --image=busybox', 'patch pods/ephemeralcontainers web in default', 'get pods web in default'],
    [
      'debug -it web --image=busybox',
      'patch pods/ephemeralcontainers web in default',
      'get pods web in default',
      'create pods/attach web in default',
    ],
    ['debug node/n1 --image=busybox', 'create pods in default', 'get nodes n1'],
    ['debug web --copy-to=other', 'create pods in default', 'get pods web in default'],
    ['run web --image=nginx -it --rm', 'create pods in default', 'create pods/attach web in default'],
    ['label pods --all a=b', 'patch pods in default', 'list pods in default'],
    ['label pods web team-', 'patch pods web in default', 'get pods web in default'],
    [
      'replace --force deploy/web',
      'update deployments.apps web in default',
      'delete deployments.apps web in default',
      'create deployments.apps in default',
    ],
    ['delete pods/web', 'delete pods web in default'],
    ['delete pods --all', 'delete pods in default', 'list pods in default'],
    ['delete pods -l app=web', 'delete pods in default', 'list pods in default'],
    ['deletecollection pods', 'deletecollection pods in default'],
    ['create deployment web', 'create deployments.apps in default'],
    ['create token robot', 'create serviceaccounts/token robot in default'],
    ['run web --image=nginx', 'create pods in default'],
    [
      'apply deploy/web',
      'patch deployments.apps web in default',
      'get deployments.apps web in default',
      'create deployments.apps in default',
    ],
    ['apply --server-side deploy/web', 'patch deployments.apps web in default'],
    ['get pods --watch=false', 'list pods in default'],
    ['scale deploy/web --replicas=3', 'patch deployments.apps/scale web in default'],
    ['scale --replicas 3 deploy/web', 'patch deployments.apps/scale web in default'],
    ['rollout restart deploy/web', 'patch deployments.apps web in default', 'get deployments.apps web in default'],
    ['rollout status deploy/web', 'get deployments.apps web in default'],
    ['set image deploy/web app=x', 'patch deployments.apps web in default', 'get deployments.apps web in default'],
    ['label pods web a=b', 'patch pods web in default', 'get pods web in default'],
    ['cordon n1', 'patch nodes n1', 'get nodes n1'],
    ['drain n1', 'patch nodes n1', 'get nodes n1', 'list pods', 'create pods/eviction'],
    ['top pods', 'list pods.metrics.k8s.io in default'],
    ['certificate approve x', 'update certificatesigningrequests.certificates.k8s.io/approval x'],
    ['auth whoami', 'create selfsubjectreviews.authentication.k8s.io'],
    ['auth can-i get pods', 'create selfsubjectaccessreviews.authorization.k8s.io'],
    ['impersonate users/ana', 'impersonate users ana'],
    ['escalate clusterroles', 'escalate clusterroles.rbac.authorization.k8s.io'],
    ['get --raw /metrics', 'get /metrics'],
    ['get /api/v1/namespaces/x/pods?watch=1', 'watch pods in x'],
    ['version', 'get /version'],
    ['GET /api/v1/pods', 'list pods'],
    ['POST /api/v1/namespaces/x/pods/web/exec?command=sh', 'create pods/exec web in x'],
  ])('%s', (words, request, ...also) => {
    const asked = ask(words)
    expect([asked.requestInfo, ...asked.also].map(describeRequest)).toEqual([request, ...also])
  })

  test.each([
    'get pods/web -n prod',
    'get nodes',
    'get deploy -A',
    'get ns/prod',
    'get pods',
    'get deploy/web --subresource scale',
  ])('%s are the request that its path is', (words) => {
    const { requestInfo } = ask(words)
    expect(requestInfo).toEqual(parseRequest('GET', requestInfo.path).requestInfo)
  })

  test('may be asked as somebody else', () => {
    expect(ask('get pods --as root --as-group=a --as-group b').assumed).toMatchObject({
      subject: { username: 'root', groups: ['a', 'b'] },
      checks: [
        { verb: 'impersonate', resource: 'users', name: 'root' },
        { resource: 'groups' },
        { resource: 'groups' },
      ],
    })
    expect(ask('get pods').assumed).toBeNull()
    expect(() => ask('get pods --as-group=a')).toThrow(StatusError)
  })

  test.each<[words: string, problem: string]>([
    ['', 'there are no words'],
    ['get', 'get of what?'],
    ['exec', 'exec of which pod?'],
    ['gte pods', 'there is no "gte", did you mean get?'],
    ['get pdos', 'Kubernetes has no "pdos"; did you mean pods?'],
    ['get widgets', 'Kubernetes has no "widgets"; write those of others as PLURAL.GROUP'],
    ['get all', '"all" is several kinds'],
    ['get pods,svc', 'is not one kind'],
    ['get pods a b', 'one object at a time'],
    ['get pods/a b', 'one object at a time'],
    ['apply -f x.yaml', 'files are not read'],
    ['get pods --frobnicate=x', 'the flag "--frobnicate" is not known here'],
    ['get pods -z', 'the flag "-z" is not known here'],
    ['get pods --frobnicate', 'the flag "--frobnicate" is not known here'],
    ['get pods -n', 'the flag "-n" has no value'],
    ['cp a b', 'neither side of cp'],
    ["get 'pods", 'a quote is not closed'],
    ['constructor pods', 'there is no "constructor"'],
    ['bind --raw /x', '"bind" does not go with a path'],
  ])('"%s" is none', (words, problem) => {
    expect(() => ask(words)).toThrow(WordsError)
    expect(() => ask(words)).toThrow(problem)
  })

  test('a request line with two readings is refused as the gateway refuses it', () => {
    expect(() => ask('GET /api//v1')).toThrow(StatusError)
  })
})

test.each([
  ['get  pods/web', ['get', 'pods/web']],
  [`exec web -- sh -c 'echo "a b"'`, ['exec', 'web', '--', 'sh', '-c', 'echo "a b"']],
  [`a"b c"d ''`, ['ab cd', '']],
  [' ', []],
])('%s is split as a shell does', (text, words) => {
  expect(splitWords(text)).toEqual(words)
})

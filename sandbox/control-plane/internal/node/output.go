package node

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// longestLine is where the log breaks a line, as container runtimes do.
const longestLine = 16 << 10

// output carries what a container writes to its log and to those attached to it.
type output struct {
	mu       sync.Mutex
	attached map[*attachment]struct{}
}

// attachment is one client's view of a container. A nil writer was not asked for.
type attachment struct {
	stdout, stderr io.Writer
	// broken is closed when the client can no longer be written to.
	broken chan struct{}
	once   sync.Once
}

func (a *attachment) leave() { a.once.Do(func() { close(a.broken) }) }

func newOutput() *output { return &output{attached: map[*attachment]struct{}{}} }

func (o *output) attach(stdout, stderr io.Writer) *attachment {
	a := &attachment{stdout: stdout, stderr: stderr, broken: make(chan struct{})}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attached[a] = struct{}{}
	return a
}

func (o *output) detach(a *attachment) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.attached, a)
}

// send writes to all that are attached, at the pace of the slowest.
func (o *output) send(name runtimeapi.LogStreamType, block []byte) {
	o.mu.Lock()
	attached := make([]*attachment, 0, len(o.attached))
	for a := range o.attached {
		attached = append(attached, a)
	}
	o.mu.Unlock()
	for _, a := range attached {
		writer := a.stdout
		if name == runtimeapi.Stderr {
			writer = a.stderr
		}
		if writer == nil {
			continue
		}
		if _, err := writer.Write(block); err != nil {
			o.detach(a)
			a.leave()
		}
	}
}

// logWriter writes one stream of a container, in the format that the kubelet reads.
type logWriter struct {
	output *output
	name   runtimeapi.LogStreamType
	file   *os.File
	line   []byte
}

func (w *logWriter) Write(block []byte) (int, error) {
	w.output.send(w.name, block)
	var entries bytes.Buffer
	rest := block
	for len(rest) > 0 {
		part, after, found := bytes.Cut(rest, []byte{'\n'})
		w.line, rest = append(w.line, part...), after
		for len(w.line) > longestLine {
			w.entry(&entries, w.line[:longestLine], runtimeapi.LogTagPartial)
			w.line = append(w.line[:0], w.line[longestLine:]...)
		}
		if found {
			w.entry(&entries, w.line, runtimeapi.LogTagFull)
			w.line = w.line[:0]
		}
	}
	_, err := w.file.Write(entries.Bytes())
	return len(block), err
}

// flush writes a last line that has no end.
func (w *logWriter) flush() {
	if len(w.line) > 0 {
		var entry bytes.Buffer
		w.entry(&entry, w.line, runtimeapi.LogTagFull)
		_, _ = w.file.Write(entry.Bytes())
	}
}

func (w *logWriter) entry(to *bytes.Buffer, line []byte, tag runtimeapi.LogTag) {
	to.WriteString(time.Now().UTC().Format(time.RFC3339Nano))
	to.WriteByte(' ')
	to.WriteString(string(w.name))
	to.WriteByte(' ')
	to.WriteString(string(tag))
	to.WriteByte(' ')
	to.Write(line)
	to.WriteByte('\n')
}

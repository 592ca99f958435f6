package node

import (
	"context"
	"fmt"
	"io"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// attacher attaches to the main process of a container.
type attacher struct{ container *container }

// AttachContainer shows the container's output from now on, and passes input
// on, until the container ends or the client is gone.
func (a attacher) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	process, output := a.container.running()
	if process == nil {
		return fmt.Errorf("container %s is not running", a.container.spec.Name)
	}
	if tty {
		err = nil
	}
	attachment := output.attach(out, err)
	defer output.detach(attachment)
	go resizeTerminal(process, resize)
	if in != nil && process.stdin != nil {
		go func() {
			_, _ = io.Copy(process.stdin, in)
			if a.container.spec.StdinOnce {
				process.closeStdin()
			}
		}()
	}
	select {
	case <-process.done:
	case <-attachment.broken:
	case <-ctx.Done():
	}
	return nil
}

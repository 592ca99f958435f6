// Package cluster starts the components of a control plane together.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"

	"postern.dev/sandbox/control-plane/internal/lifetime"
	"postern.dev/sandbox/control-plane/internal/loopback"
)

// Main runs a control plane until it is told to end. When it is ready it
// prints what a client needs as a JSON object on one line. However it ends, no
// process that came from it is left.
func Main() int {
	var options options
	var untilInputEnds, removeDirectory bool
	flags := pflag.NewFlagSet(os.Args[0], pflag.ExitOnError)
	flags.StringVar(&options.directory, "directory", "", "where everything is kept; created when missing")
	flags.StringArrayVar(&options.apiServerFlags, "kube-apiserver-flag", nil, "further flag for kube-apiserver, repeatable")
	flags.BoolVar(&options.audit, "audit", true, "whether kube-apiserver writes an audit log")
	flags.BoolVar(&untilInputEnds, "until-input-ends", false, "also end at the end of the standard input, when whoever holds it is gone")
	flags.BoolVar(&removeDirectory, "remove-directory", false, "remove the directory at the end")
	_ = flags.Parse(os.Args[1:])

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	if untilInputEnds {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	lifetime.AdoptOrphans()
	err := run(ctx, options)
	lifetime.KillDescendants()
	if removeDirectory {
		err = firstOf(err, os.RemoveAll(options.directory))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// options are what a control plane is started with.
type options struct {
	directory      string
	apiServerFlags []string
	audit          bool
}

// ready is what a client needs to know.
type ready struct {
	Server               string `json:"server"`
	CertificateAuthority string `json:"certificateAuthority"`
	AdminKubeconfig      string `json:"adminKubeconfig"`
	Kubectl              string `json:"kubectl"`
	AuditLog             string `json:"auditLog"`
	Authority            string `json:"authority"`
}

// run starts everything, says so, and returns when the context ends or a component does.
func run(ctx context.Context, options options) error {
	directory, err := filepath.Abs(options.directory)
	if err != nil {
		return err
	}
	layout := layout(directory)
	if err := layout.create(); err != nil {
		return err
	}
	port, err := loopback.FreePort()
	if err != nil {
		return err
	}
	server := fmt.Sprintf("https://127.0.0.1:%d", port)
	if err := layout.issue(server); err != nil {
		return err
	}
	asked := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	components := &components{layout: layout, ended: cancel}
	defer components.stop()
	if err := components.startAll(ctx, port, options); err != nil {
		if asked.Err() != nil {
			return nil
		}
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(ready{
		Server:               server,
		CertificateAuthority: layout.certificate("ca"),
		AdminKubeconfig:      layout.kubeconfig("admin"),
		Kubectl:              layout.kubectl(),
		AuditLog:             layout.auditLog(),
		Authority:            layout.certificates(),
	}); err != nil {
		return err
	}
	<-ctx.Done()
	if asked.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

package certificates

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
)

// Main issues a client certificate and prints it with its key, PEM, as a JSON object.
func Main() int {
	var directory string
	var subject Subject
	var lifetime time.Duration
	flags := pflag.NewFlagSet(os.Args[0], pflag.ExitOnError)
	flags.StringVar(&directory, "authority", "", "directory of the certificate authority")
	flags.StringVar(&subject.Name, "username", "", "user name")
	flags.StringArrayVar(&subject.Groups, "group", nil, "group, repeatable")
	flags.DurationVar(&lifetime, "lifetime", time.Hour, "time until it ends; negative for one that has ended")
	_ = flags.Parse(os.Args[1:])

	authority, err := Load(directory)
	if err != nil {
		fmt.Fprintln(os.Stderr, "certificates:", err)
		return 1
	}
	pair, err := authority.Issue(subject, lifetime)
	if err != nil {
		fmt.Fprintln(os.Stderr, "certificates:", err)
		return 1
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{
		"certificate": string(pair.Certificate),
		"key":         string(pair.Key),
	})
	return 0
}

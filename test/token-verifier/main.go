// Command token-verifier is the gate that an EKS cluster has: aws-iam-authenticator's own verification of tokens, for
// one cluster. It answers each line of standard input, a token, with a line of JSON on standard output.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"sigs.k8s.io/aws-iam-authenticator/pkg/token"
)

// answer is one line. Error is empty when the token is accepted.
type answer struct {
	ARN          string `json:"arn"`
	CanonicalARN string `json:"canonicalARN"`
	SessionName  string `json:"sessionName"`
	AccessKeyID  string `json:"accessKeyID"`
	STSEndpoint  string `json:"stsEndpoint"`
	Error        string `json:"error"`
}

// maxLine is what a line may have in bytes; longer tokens than the authenticator takes have to be refused by it, not here.
const maxLine = 64 * 1024

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: token-verifier CLUSTER PARTITION REGION")
		os.Exit(64)
	}
	verifier := token.NewVerifier(os.Args[1], os.Args[2], os.Args[3])
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLine)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(verify(verifier, lines.Text())); err != nil {
			os.Exit(1)
		}
	}
}

func verify(verifier token.Verifier, text string) answer {
	identity, err := verifier.Verify(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{
		ARN:          identity.ARN,
		CanonicalARN: identity.CanonicalARN,
		SessionName:  identity.SessionName,
		AccessKeyID:  identity.AccessKeyID,
		STSEndpoint:  identity.STSEndpoint,
	}
}

// Package certificates is the certificate authority of a control plane.
package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/keyutil"
)

const (
	authorityCertificate = "ca.crt"
	authorityKey         = "ca.key"
	authorityLifetime    = 10 * 365 * 24 * time.Hour
)

// Authority issues certificates for clients and servers.
type Authority struct {
	certificate    *x509.Certificate
	certificatePEM []byte
	key            crypto.Signer
}

// KeyPair is a certificate and its private key, both PEM.
type KeyPair struct {
	Certificate []byte
	Key         []byte
}

// Subject is what a certificate says of its holder.
type Subject struct {
	// Name is the user name that the API server sees.
	Name string
	// Groups are the groups that the API server sees.
	Groups []string
	// Hosts are the names and addresses of a server. A certificate with none is a client's.
	Hosts []string
}

// Create makes a new authority and keeps it in the directory.
func Create(directory string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "postern-sandbox-ca"},
		NotBefore:             now.Add(-authorityLifetime),
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	pair, err := encode(der, key)
	if err != nil {
		return nil, err
	}
	if err := pair.Write(filepath.Join(directory, authorityCertificate), filepath.Join(directory, authorityKey)); err != nil {
		return nil, err
	}
	return Load(directory)
}

// Load reads the authority that Create kept in the directory.
func Load(directory string) (*Authority, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(directory, authorityCertificate), filepath.Join(directory, authorityKey))
	if err != nil {
		return nil, err
	}
	return &Authority{
		certificate:    pair.Leaf,
		certificatePEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Leaf.Raw}),
		key:            pair.PrivateKey.(crypto.Signer),
	}, nil
}

// Certificate returns the authority's own certificate, PEM.
func (a *Authority) Certificate() []byte { return a.certificatePEM }

// Issue returns a certificate for the subject that ends after the lifetime. A
// negative lifetime gives one that has ended.
func (a *Authority) Issue(subject Subject, lifetime time.Duration) (KeyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return KeyPair{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return KeyPair{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: subject.Name, Organization: subject.Groups},
		NotBefore:    now.Add(min(0, lifetime) - time.Hour),
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, host := range subject.Hosts {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return KeyPair{}, err
	}
	return encode(der, key)
}

// Write keeps the pair in two files, the key readable by its owner only.
func (p KeyPair) Write(certificatePath, keyPath string) error {
	if err := os.WriteFile(certificatePath, p.Certificate, 0o644); err != nil {
		return err
	}
	return os.WriteFile(keyPath, p.Key, 0o600)
}

func encode(der []byte, key *ecdsa.PrivateKey) (KeyPair, error) {
	encoded, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return KeyPair{}, err
	}
	return KeyPair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         encoded,
	}, nil
}

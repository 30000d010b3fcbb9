package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credentials are everything a node proves itself and checks others with. They
// are replaced as a whole, by [Secure.Reload]; a value handed over is not
// modified again by anybody.
type Credentials struct {
	// Certificate is this node's own, with its key and a parsed Leaf.
	Certificate tls.Certificate
	// Authorities are the cluster's CA certificates: one, or two while the CA is replaced.
	Authorities []*x509.Certificate
	// Keys are the cluster keys of 32 bytes each: the first seals, all open.
	Keys [][]byte
	// Revoked maps the name of a removed node to the trust generation of its
	// removal; certificates for that name issued in it or before are refused.
	Revoked map[string]uint64
}

// Errors of the certificate check; the text around them names node and remedy.
var (
	// ErrWrongCluster is a certificate that none of our CAs signed.
	ErrWrongCluster = errors.New("the certificate belongs to another cluster: check the address, or join this node to the right one")
	// ErrRevoked is a certificate of a node that was removed from the cluster.
	ErrRevoked = errors.New("the node was removed from the cluster; join it again with a new token")
	// ErrWrongNode is a certificate of this cluster for another name than the one dialled.
	ErrWrongNode = errors.New("another node answers at this address")
)

// NodeOf is the node name a certificate was issued for and the trust generation
// of its issue. The name is the subject's common name, the generation its
// serial-number attribute ("g7"): both are covered by the CA's signature.
func NodeOf(cert *x509.Certificate) (name string, generation uint64, err error) {
	digits, ok := strings.CutPrefix(cert.Subject.SerialNumber, "g")
	if !ok || cert.Subject.CommonName == "" {
		return "", 0, fmt.Errorf("certificate %q is not one of a Systole node", cert.Subject)
	}
	generation, err = strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("certificate of %s: generation %q is not a number", cert.Subject.CommonName, digits)
	}
	return cert.Subject.CommonName, generation, nil
}

// Verify checks a peer's certificate and gives its node name. The dates are
// deliberately not part of it: leases never use the wall clock, and a
// certificate that ran out, or a clock that jumped, must not stop a service
// that runs. [Expiry] tells about dates for those who warn.
func (c *Credentials) Verify(cert *x509.Certificate) (name string, err error) {
	signed := slices.ContainsFunc(c.Authorities, func(ca *x509.Certificate) bool {
		return cert.CheckSignatureFrom(ca) == nil
	})
	if !signed || cert.IsCA {
		return "", ErrWrongCluster
	}
	name, generation, err := NodeOf(cert)
	if err != nil {
		return "", err
	}
	if c.revoked(name, generation) {
		return "", fmt.Errorf("%s: %w", name, ErrRevoked)
	}
	return name, nil
}

// revoked says whether a certificate of this name and generation is one of a removed node.
func (c *Credentials) revoked(name string, generation uint64) bool {
	until, removed := c.Revoked[name]
	return removed && generation <= until
}

// Expiry says in one sentence what is wrong with a certificate's dates at now, "" if nothing is.
func Expiry(cert *x509.Certificate, now time.Time) string {
	switch {
	case now.After(cert.NotAfter):
		return fmt.Sprintf("certificate of %s expired on %s", cert.Subject.CommonName, cert.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(cert.NotBefore):
		return fmt.Sprintf("certificate of %s is valid only from %s: a clock is wrong", cert.Subject.CommonName, cert.NotBefore.UTC().Format(time.RFC3339))
	}
	return ""
}

// validate refuses what could only fail later and less clearly.
func (c *Credentials) validate() error {
	switch {
	case c.Certificate.Leaf == nil:
		return errors.New("node certificate is missing")
	case len(c.Authorities) == 0:
		return errors.New("CA certificate is missing")
	case len(c.Keys) == 0:
		return errors.New("cluster key is missing")
	}
	for _, k := range c.Keys {
		if len(k) != KeySize {
			return fmt.Errorf("cluster key has %d bytes, want %d", len(k), KeySize)
		}
	}
	_, err := c.Verify(c.Certificate.Leaf)
	if err != nil {
		return fmt.Errorf("this node's own certificate: %w", err)
	}
	return nil
}

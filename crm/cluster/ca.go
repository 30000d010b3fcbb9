package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Lives of certificates. Dates warn and drive renewal, but never refuse (see
// transport.Credentials.Verify), so a CA may live as long as its cluster.
const (
	caLife   = 30 * 365 * 24 * time.Hour
	certLife = 365 * 24 * time.Hour
	// renewBefore the end; four months leave time to notice that it does not work.
	renewBefore = 120 * 24 * time.Hour
	// warnBefore the end status warns.
	warnBefore = 30 * 24 * time.Hour
	// backdate covers clocks that differ a little.
	backdate = time.Hour
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority makes a CA for a cluster.
func newAuthority(clusterName string, now time.Time) (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "Systole cluster " + clusterName},
		NotBefore:    now.Add(-backdate), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	return &authority{cert, key}, nil
}

// issue signs a node's request. The name and the generation are the issuer's
// word; of the request only the key is taken.
func (a *authority) issue(request []byte, node string, generation uint64, now time.Time) (der []byte, err error) {
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, fmt.Errorf("certificate request of %s: %w", node, err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request of %s: %w", node, err)
	}
	if k, ok := csr.PublicKey.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return nil, fmt.Errorf("certificate request of %s: the key must be of type ECDSA P-256", node)
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: node, SerialNumber: fmt.Sprintf("g%d", generation)},
		NotBefore:    now.Add(-backdate), NotAfter: now.Add(certLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, tmpl, a.cert, csr.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", node, err)
	}
	return der, nil
}

// request makes a certificate request for a key.
func request(node string, key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: node}}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return der, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

// serial is a positive number of 159 bits (RFC 5280, 4.1.2.2 allows 160).
func serial() *big.Int {
	b := random(20)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

// renewalDue says whether a node's certificate should be replaced: near its end,
// or signed by a CA that is on its way out.
func renewalDue(cert, issuer *x509.Certificate, now time.Time) bool {
	return now.After(cert.NotAfter.Add(-renewBefore)) || cert.CheckSignatureFrom(issuer) != nil
}

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "EC PRIVATE KEY"
)

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) (Secret, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return encodePEM(pemKey, der), nil
}

var errNotPEM = errors.New("it is not what this program wrote")

func decodePEM(kind string, b []byte) ([]byte, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != kind {
		return nil, errNotPEM
	}
	return block.Bytes, nil
}

func decodeKey(b []byte) (*ecdsa.PrivateKey, error) {
	der, err := decodePEM(pemKey, b)
	if err != nil {
		return nil, err
	}
	return x509.ParseECPrivateKey(der)
}

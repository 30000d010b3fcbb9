package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"testing"
	"time"
)

// testCA issues certificates for tests, with any dates.
type testCA struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	keys [][]byte
}

func newTestCA(t testing.TB) *testCA {
	t.Helper()
	ca := &testCA{t: t, keys: [][]byte{make([]byte, KeySize)}}
	rand.Read(ca.keys[0])
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
	}
	ca.cert, ca.key = sign(t, tmpl, nil, nil)
	return ca
}

// sign makes a certificate; without an issuer it signs itself.
func sign(t testing.TB, tmpl, issuer *x509.Certificate, issuerKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if issuer == nil {
		issuer, issuerKey = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// issue gives a node's credentials; ends may lie in the past.
func (ca *testCA) issue(node string, generation int, ends time.Time) Credentials {
	ca.t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: node, SerialNumber: fmt.Sprintf("g%d", generation)},
		NotBefore:    ends.AddDate(-1, 0, 0), NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	cert, key := sign(ca.t, tmpl, ca.cert, ca.key)
	return Credentials{
		Certificate: tls.Certificate{Certificate: [][]byte{cert.Raw, ca.cert.Raw}, PrivateKey: key, Leaf: cert},
		Authorities: []*x509.Certificate{ca.cert},
		Keys:        ca.keys,
	}
}

func (ca *testCA) node(name string) Credentials {
	return ca.issue(name, 1, time.Now().AddDate(1, 0, 0))
}

// open starts a fabric on a loopback port that ends with the test.
func open(t testing.TB, c Credentials) *Secure { return openLogged(t, c, io.Discard) }

func openLogged(t testing.TB, c Credentials, log io.Writer) *Secure {
	t.Helper()
	s, err := Open(Options{Bind: "127.0.0.1:0", Credentials: c, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
)

// Fingerprint is the SHA-256 of a CA certificate, as a join token carries it.
type Fingerprint [sha256.Size]byte

// FingerprintOf a certificate.
func FingerprintOf(ca *x509.Certificate) Fingerprint { return sha256.Sum256(ca.Raw) }

// ErrWrongCA is a server that cannot prove it belongs to the cluster a token was made for.
var ErrWrongCA = errors.New("the host does not belong to the cluster of this token: check the host, or make a token there")

// DialJoin opens a ProtoJoin stream without any credentials. The server must
// present a node certificate signed by the CA with this fingerprint: nothing is
// sent to anyone else.
func DialJoin(ctx context.Context, addr string, ca Fingerprint) (net.Conn, error) {
	c := &conn{}
	cfg := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{alpn(ProtoJoin)},
		InsecureSkipVerify: true, // VerifyConnection pins the CA
		VerifyConnection: func(cs tls.ConnectionState) error {
			return pinned(cs.PeerCertificates, ca)
		},
	}
	if err := c.open(ctx, dialling{local: netip.Addr{}, deadPeer: DefaultDeadPeer}, addr, cfg); err != nil {
		return nil, err
	}
	return c, nil
}

// pinned checks that a chain's leaf is a node certificate signed by the CA with
// the fingerprint, which a server sends along for this purpose.
func pinned(chain []*x509.Certificate, want Fingerprint) error {
	leaf := chain[0]
	for _, ca := range chain[1:] {
		got := FingerprintOf(ca)
		if bytes.Equal(got[:], want[:]) && !leaf.IsCA && leaf.CheckSignatureFrom(ca) == nil {
			return nil
		}
	}
	return ErrWrongCA
}

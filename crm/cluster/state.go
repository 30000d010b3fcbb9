package cluster

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"systole/crm/api"
	"systole/crm/transport"
)

// Identity of this node.
func (d *Dir) Identity() Identity {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.identity
}

// Trust this node holds.
func (d *Dir) Trust() Trust {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trust
}

// Certificate of this node.
func (d *Dir) Certificate() *x509.Certificate {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cert.Leaf
}

// Credentials for the fabric and, as its Keys, for gossip.
func (d *Dir) Credentials() transport.Credentials {
	d.mu.Lock()
	defer d.mu.Unlock()
	cas, err := d.trust.certificates()
	if err != nil {
		panic("cluster: trust was checked when it was read: " + err.Error())
	}
	c := transport.Credentials{Certificate: d.cert, Authorities: cas, Revoked: d.trust.Revoked}
	// The issuing CA goes along, so that one who joins can compare its fingerprint.
	c.Certificate.Certificate = [][]byte{d.cert.Leaf.Raw}
	for _, ca := range cas {
		if d.cert.Leaf.CheckSignatureFrom(ca) == nil {
			c.Certificate.Certificate = append(c.Certificate.Certificate, ca.Raw)
		}
	}
	for _, k := range d.trust.Keys {
		c.Keys = append(c.Keys, k)
	}
	return c
}

// issuer is the first CA's certificate, and with its key if this node has it.
func (d *Dir) issuer() (cert *x509.Certificate, ca *authority) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cert, err := x509.ParseCertificate(d.trust.Authorities[0])
	if err != nil {
		panic("cluster: trust was checked when it was read: " + err.Error())
	}
	if d.ca != nil && d.ca.cert.Equal(cert) {
		ca = d.ca
	}
	return cert, ca
}

// FirstCIB is the CIB that a bootstrapping node begins with, nil for others.
func (d *Dir) FirstCIB() ([]byte, error) {
	if !d.Identity().Bootstrap {
		return nil, nil
	}
	return d.read(fileFirstCIB, true)
}

// Bootstrapped is called once the first CIB is committed: from now on this is a
// node like any other.
func (d *Dir) Bootstrapped() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.identity.Bootstrap {
		return nil
	}
	next := d.identity
	next.Bootstrap = false
	if err := d.writeJSON(fileIdentity, next); err != nil {
		return err
	}
	d.identity = next
	return os.Remove(d.file(fileFirstCIB))
}

// Members are the other nodes and this one, as known when last written. They
// are where a starting node looks for the others.
func (d *Dir) Members() []Member {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.members)
}

// setMembers remembers who belongs to the cluster; what has not changed is not written.
func (d *Dir) setMembers(all []Member) error {
	all = slices.Clone(all)
	for i := range all {
		all[i].Online, all[i].Since = false, time.Time{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Equal(all, d.members) {
		return nil
	}
	if err := d.writeJSON(fileMembers, all); err != nil {
		return err
	}
	d.members = all
	return nil
}

// adopt takes a newer trust. It reports whether anything changed.
func (d *Dir) adopt(t Trust) (changed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.ClusterID != d.trust.ClusterID {
		return false, refuse(api.CodeConfig, "trust of cluster %s was sent to a node of cluster %s", t.ClusterID, d.trust.ClusterID)
	}
	if !t.newerThan(d.trust) {
		return false, nil
	}
	if err := d.write(fileTrust, t.encode()); err != nil {
		return false, err
	}
	d.trust = t
	return true, nil
}

// setCertificate replaces this node's certificate and key.
func (d *Dir) setCertificate(der []byte, key *ecdsa.PrivateKey) error {
	cert, err := nodeCertificate(der, key)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.write(fileNode, append(encodePEM(pemCertificate, der), keyPEM...)); err != nil {
		return err
	}
	d.cert = cert
	return nil
}

// setCAKey keeps a CA key, if it is one of the trusted CAs'.
func (d *Dir) setCAKey(keyPEM Secret) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ca, err := caFrom(d.trust, keyPEM)
	if err != nil {
		return fmt.Errorf("CA key: %w", err)
	}
	if ca == nil {
		return errors.New("CA key: it belongs to no CA of this cluster")
	}
	if err := d.write(fileCAKey, keyPEM); err != nil {
		return err
	}
	d.ca = ca
	return nil
}

// caKey is the CA key this node holds, nil without one.
func (d *Dir) caKey() (Secret, error) {
	_, ca := d.issuer()
	if ca == nil {
		return nil, nil
	}
	return encodeKey(ca.key)
}

// issueToken makes and remembers a token.
func (d *Dir) issueToken(now time.Time, life time.Duration) (text string, expires time.Time, err error) {
	cert, _ := d.issuer()
	d.mu.Lock()
	defer d.mu.Unlock()
	keep := forgetExpired(d.tokens, now)
	if len(keep) >= maxIssued {
		return "", time.Time{}, refuse(api.CodeTemporary, "%d join tokens of the last days are remembered here: make it on another node, or tomorrow", len(keep))
	}
	t := newToken(d.identity.Node, transport.FingerprintOf(cert))
	expires = now.Add(life).UTC().Truncate(time.Second)
	keep = append(keep, t.issued(expires))
	if err := d.writeJSON(fileTokens, keep); err != nil {
		return "", time.Time{}, err
	}
	d.tokens = keep
	return t.text(), expires, nil
}

// spendToken uses a token up: it is on disk before this returns, so that no
// crash makes it good again.
func (d *Dir) spendToken(id string, secret Secret, node string, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next, err := spend(d.tokens, id, secret, node, now)
	if err != nil {
		return err
	}
	if err := d.writeJSON(fileTokens, next); err != nil {
		return err
	}
	d.tokens = next
	return nil
}

// retire makes this a node of no cluster: the secrets are gone at once, the
// store's files when the next init or join begins.
func (d *Dir) retire(cause string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.write(fileLeft, []byte(cause)); err != nil {
		return err
	}
	var errs []error
	for _, name := range []string{fileIdentity, fileNode, fileCAKey, fileTrust, fileTokens, fileMembers, fileFirstCIB} {
		if err := os.Remove(d.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, d.sync())...)
}

// Audit is one line of audit.log: what was done to the cluster by hand.
type Audit struct {
	Time   time.Time `json:"time"`
	User   string    `json:"user"`
	Action string    `json:"action"`
	What   string    `json:"what"`
}

// audit appends a record, durably.
func (d *Dir) audit(a Audit) error {
	line, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("audit record: %w", err)
	}
	f, err := os.OpenFile(d.file(fileAudit), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("audit record: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	return full(errors.Join(err, f.Sync(), f.Close()))
}

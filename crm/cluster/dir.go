package cluster

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"systole/crm/transport"
)

// Files in a cluster directory. Each is replaced as a whole.
const (
	fileIdentity = "identity.json"
	fileTrust    = "trust.json"
	fileNode     = "node.pem"    // certificate and key, so that they always agree
	fileCAKey    = "ca.key"      // on voters
	fileTokens   = "tokens.json" // on nodes that issued some
	fileFirstCIB = "first-cib.xml"
	fileMembers  = "members.json"
	fileLeft     = "left"
	fileAudit    = "audit.log" // appended to
)

// ErrNoCluster is a directory without a cluster.
var ErrNoCluster = errors.New("this node is in no cluster yet: run \"crm cluster init\" here, or \"crm cluster join HOST\" with a token from a node of the cluster")

// Identity says which node of which cluster this is.
type Identity struct {
	Cluster   string    `json:"cluster"`    // its name, for people
	ClusterID string    `json:"cluster_id"` // 32 hex digits made by init
	Node      string    `json:"node"`
	ID        string    `json:"id"`   // 16 hex digits made for this join
	Addr      string    `json:"addr"` // as others reach it
	Witness   bool      `json:"witness,omitempty"`
	Joined    time.Time `json:"joined"`
	// Bootstrap marks the node that init or restore made: with an empty store
	// it begins the cluster alone, with the CIB of [Dir.FirstCIB].
	Bootstrap bool `json:"bootstrap,omitempty"`
}

// Dir is the cluster directory (conf: cluster-dir) of a node that is in a
// cluster: 0700, every file 0600. Safe for concurrent use; one per process.
type Dir struct {
	path string

	mu       sync.Mutex // guards the rest, and the order of writes
	identity Identity
	trust    Trust
	cert     tls.Certificate
	ca       *authority // nil where the CA key is not
	tokens   []issued
	members  []Member
}

// OpenDir reads and checks the directory of a node. Its errors say which file
// is wrong and what to do; [ErrNoCluster] when there is no cluster in it.
func OpenDir(path string) (*Dir, error) {
	d := &Dir{path: path}
	if _, err := os.Lstat(d.file(fileIdentity)); errors.Is(err, fs.ErrNotExist) {
		if b, err := os.ReadFile(d.file(fileLeft)); err == nil {
			return nil, fmt.Errorf("%w (%s)", ErrNoCluster, b)
		}
		return nil, fmt.Errorf("%s: %w", path, ErrNoCluster)
	}
	if err := private(path); err != nil {
		return nil, err
	}
	steps := []func() error{
		d.readIdentity, d.readTrust, d.readCertificate, d.readCAKey,
		func() error { return d.readJSON(fileTokens, &d.tokens) },
		func() error { return d.readJSON(fileMembers, &d.members) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Path of the directory.
func (d *Dir) Path() string { return d.path }

// StorePath is where the raft store of this node lives.
func (d *Dir) StorePath() string { return d.file("raft") }

func (d *Dir) file(name string) string { return filepath.Join(d.path, name) }

// private refuses what others than the owner can read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		return fmt.Errorf("%s may be read by others (mode %04o) and holds secrets: chmod %o %s", path, info.Mode().Perm(), want, path)
	}
	return nil
}

// read gives a file's content; a missing optional one is nil.
func (d *Dir) read(name string, required bool) ([]byte, error) {
	path := d.file(name)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !required:
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is missing: copy it back, or remove this node on another one (crm cluster remove) and join again", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: no permission to read it: run as the user it belongs to (root)", path)
	case err != nil:
		return nil, err
	}
	return b, private(path)
}

// broken explains a file that cannot be understood.
func (d *Dir) broken(name string, err error) error {
	return fmt.Errorf("%s is damaged (%w): copy it back, or remove this node on another one (crm cluster remove) and join again", d.file(name), err)
}

func (d *Dir) readJSON(name string, into any) error {
	b, err := d.read(name, false)
	if err != nil || b == nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return d.broken(name, err)
	}
	return nil
}

func (d *Dir) readIdentity() error {
	b, err := d.read(fileIdentity, true)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &d.identity); err != nil {
		return d.broken(fileIdentity, err)
	}
	if err := CheckName(d.identity.Node); err != nil {
		return d.broken(fileIdentity, err)
	}
	return nil
}

func (d *Dir) readTrust() error {
	b, err := d.read(fileTrust, true)
	if err != nil {
		return err
	}
	if d.trust, err = parseTrust(b); err != nil {
		return d.broken(fileTrust, err)
	}
	if d.trust.ClusterID != d.identity.ClusterID {
		return d.broken(fileTrust, errors.New("it belongs to another cluster than identity.json"))
	}
	return nil
}

func (d *Dir) readCertificate() error {
	b, err := d.read(fileNode, true)
	if err != nil {
		return err
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != pemCertificate {
		return d.broken(fileNode, errNotPEM)
	}
	key, err := decodeKey(rest)
	if err != nil {
		return d.broken(fileNode, errNotPEM) // the parser's words may quote the key
	}
	cert, err := nodeCertificate(block.Bytes, key)
	if err != nil {
		return d.broken(fileNode, err)
	}
	if name, _, err := transport.NodeOf(cert.Leaf); err != nil || name != d.identity.Node {
		return d.broken(fileNode, fmt.Errorf("it is for %q, this node is %s", cert.Leaf.Subject.CommonName, d.identity.Node))
	}
	d.cert = cert
	return nil
}

// nodeCertificate pairs a certificate with its key.
func nodeCertificate(der []byte, key *ecdsa.PrivateKey) (tls.Certificate, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return tls.Certificate{}, errors.New("certificate and key do not belong together")
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func (d *Dir) readCAKey() error {
	b, err := d.read(fileCAKey, false)
	if err != nil || b == nil {
		return err
	}
	ca, err := caFrom(d.trust, b)
	if err != nil {
		return d.broken(fileCAKey, err)
	}
	d.ca = ca
	return nil
}

// caFrom pairs a CA key with its certificate in the trust; nil when the key is
// of a CA that is no longer in it.
func caFrom(t Trust, keyPEM []byte) (*authority, error) {
	key, err := decodeKey(keyPEM)
	if err != nil {
		return nil, errNotPEM
	}
	all, err := t.certificates()
	if err != nil {
		return nil, err
	}
	for _, cert := range all {
		if key.PublicKey.Equal(cert.PublicKey) {
			return &authority{cert, key}, nil
		}
	}
	return nil, nil
}

// write replaces a file, durably.
func (d *Dir) write(name string, content []byte) error {
	if err := renameio.WriteFile(d.file(name), content, 0o600); err != nil {
		return full(fmt.Errorf("write %s: %w", d.file(name), err))
	}
	return d.sync()
}

// sync makes the directory's own entries durable.
func (d *Dir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// full adds the remedy to an error of a full disk.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: make room on that file system", err)
	}
	return err
}

func (d *Dir) writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("write %s: %w", d.file(name), err)
	}
	return d.write(name, append(b, '\n'))
}

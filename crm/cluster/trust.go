package cluster

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"systole/crm/transport"
)

// Trust is what all nodes of a cluster believe in together. It is one document
// with a generation; the DC makes the next one, and a node takes every newer one
// it sees from a node of the cluster. A value is not modified once made.
type Trust struct {
	ClusterID  string `json:"cluster_id"`
	Generation uint64 `json:"generation"`
	// Keys are the cluster keys: the first seals, all open.
	Keys    []Secret  `json:"keys"`
	KeyMade time.Time `json:"key_made"` // the first one
	// Authorities are CA certificates as DER: the first issues, all are believed.
	Authorities [][]byte `json:"authorities"`
	// Revoked maps the name of a removed node to the generation of its removal.
	Revoked map[string]uint64 `json:"revoked,omitempty"`
}

// maxKeys bounds the keys held at once: one rotation interrupted by another.
const maxKeys = 3

// parseTrust reads and checks a document.
func parseTrust(b []byte) (Trust, error) {
	var t Trust
	if err := json.Unmarshal(b, &t); err != nil {
		return Trust{}, fmt.Errorf("trust: %w", err)
	}
	if t.ClusterID == "" || len(t.Authorities) == 0 || len(t.Keys) == 0 || len(t.Keys) > maxKeys {
		return Trust{}, fmt.Errorf("trust: incomplete: cluster id %q, %d CA certificates, %d keys", t.ClusterID, len(t.Authorities), len(t.Keys))
	}
	for _, k := range t.Keys {
		if len(k) != transport.KeySize {
			return Trust{}, fmt.Errorf("trust: a cluster key has %d bytes, want %d", len(k), transport.KeySize)
		}
	}
	_, err := t.certificates()
	return t, err
}

func (t Trust) encode() []byte {
	b, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		panic("cluster: trust does not marshal: " + err.Error()) // plain data only
	}
	return b
}

// certificates are the parsed CAs.
func (t Trust) certificates() ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, der := range t.Authorities {
		ca, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("trust: CA certificate: %w", err)
		}
		all = append(all, ca)
	}
	return all, nil
}

// digest tells two documents apart; it gives nothing of the keys away, yet is
// kept out of logs like them.
func (t Trust) digest() Secret {
	sum := sha256.Sum256(t.encode())
	return sum[:]
}

// order compares with another document of the cluster: positive if this one is
// newer. Two DCs may make the same generation when one lost its lease half-way;
// the digest then decides, the same everywhere.
func (t Trust) order(generation uint64, digest Secret) int {
	return cmp.Or(cmp.Compare(t.Generation, generation), bytes.Compare(t.digest(), digest))
}

func (t Trust) newerThan(old Trust) bool { return t.order(old.Generation, old.digest()) > 0 }

// next is a copy to change, one generation later.
func (t Trust) next() Trust {
	t.Generation++
	t.Keys = slices.Clone(t.Keys)
	t.Authorities = slices.Clone(t.Authorities)
	t.Revoked = maps.Clone(t.Revoked)
	return t
}

// revoking is the document that no longer believes the node's certificates. A
// certificate issued later, for a node that joins again under the name, has the
// next generation.
func (t Trust) revoking(names ...string) Trust {
	n := t.next()
	if n.Revoked == nil {
		n.Revoked = map[string]uint64{}
	}
	for _, name := range names {
		n.Revoked[name] = t.Generation
	}
	return n
}

// alone is the document of a node that goes on without all others: their
// certificates are refused, and so are the beats and the gossip they seal with
// the key they know. Nobody is left to take steps with.
func (t Trust) alone(others []string, now time.Time) Trust {
	n := t.revoking(others...)
	n.Keys = []Secret{random(transport.KeySize)}
	n.KeyMade = now.UTC().Truncate(time.Second)
	return n
}

// A key is replaced in three documents, so that at each moment every node opens
// what any other seals, whichever of two neighbouring documents either has.

// installing adds a key, and with ca another CA, that nobody uses yet.
func (t Trust) installing(key Secret, ca []byte) Trust {
	n := t.next()
	n.Keys = append(n.Keys[:min(len(n.Keys), maxKeys-1)], key)
	if ca != nil {
		n.Authorities = append(n.Authorities, ca)
	}
	return n
}

// using puts the last key, and with ca the last CA, first.
func (t Trust) using(ca bool, now time.Time) Trust {
	n := t.next()
	n.Keys = rotated(n.Keys)
	n.KeyMade = now.UTC().Truncate(time.Second)
	if ca {
		n.Authorities = rotated(n.Authorities)
	}
	return n
}

// removing keeps the first key and the first CA.
func (t Trust) removing() Trust {
	n := t.next()
	n.Keys = n.Keys[:1]
	n.Authorities = n.Authorities[:1]
	return n
}

func rotated[T any](s []T) []T {
	last := len(s) - 1
	return append([]T{s[last]}, s[:last]...)
}

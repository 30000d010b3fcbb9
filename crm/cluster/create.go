package cluster

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
)

// InitOptions of [Init].
type InitOptions struct {
	Dir     string // cluster directory; must hold no cluster yet
	Cluster string // name of the cluster, for people
	Node    string // this node's name
	Addr    string // "ip:port" others reach it at
	User    string // who does it, for the audit record
	Now     time.Time
}

// Init makes a new cluster of this one node: CA, certificate, cluster key,
// identity and first CIB. Nothing is started; systoled finds the files.
// The report says what was made and what to do next.
func Init(o InitOptions) (Report, error) {
	if err := CheckName(o.Cluster); err != nil {
		return Report{}, refuse(api.CodeUsage, "cluster name: %v", err)
	}
	return begin(o, firstCIB(o.Cluster, o.Node), "init")
}

// begin makes the files of a cluster of one node that starts from a CIB.
func begin(o InitOptions, cib []byte, action string) (Report, error) {
	if err := checkNode(o.Node, o.Addr); err != nil {
		return Report{}, err
	}
	ca, err := newAuthority(o.Cluster, o.Now)
	if err != nil {
		return Report{}, err
	}
	caKey, err := encodeKey(ca.key)
	if err != nil {
		return Report{}, err
	}
	trust := Trust{
		ClusterID: randomHex(16), Generation: 1,
		Keys: []Secret{random(32)}, KeyMade: o.Now.UTC().Truncate(time.Second),
		Authorities: [][]byte{ca.cert.Raw},
	}
	key, err := newKey()
	if err != nil {
		return Report{}, err
	}
	csr, err := request(o.Node, key)
	if err != nil {
		return Report{}, err
	}
	der, err := ca.issue(csr, o.Node, trust.Generation, o.Now)
	if err != nil {
		return Report{}, err
	}
	d, err := makeDir(o.Dir)
	if err != nil {
		return Report{}, err
	}
	if err := d.write(fileFirstCIB, cib); err != nil {
		return Report{}, err
	}
	id := Identity{
		Cluster: o.Cluster, ClusterID: trust.ClusterID, Node: o.Node, ID: randomHex(8), Addr: o.Addr,
		Joined: o.Now.UTC().Truncate(time.Second), Bootstrap: true,
	}
	if err := d.settle(id, trust, der, key, caKey); err != nil {
		return Report{}, err
	}
	if err := d.audit(Audit{o.Now.UTC(), o.User, action, fmt.Sprintf("cluster %s on node %s", o.Cluster, o.Node)}); err != nil {
		return Report{}, err
	}
	return Report{Done: []string{
		fmt.Sprintf("Made cluster %s with CA, certificates and keys in %s.", o.Cluster, o.Dir),
		fmt.Sprintf("Start it: systemctl enable --now systoled. Node %s then answers at %s, TCP and UDP.", o.Node, o.Addr),
		"Add a node: run \"crm cluster token\" here and \"crm cluster join HOST\" there.",
		"Two nodes cannot outvote each other: with two, the loss of either stops the cluster. Make it three, or let a small third machine be a witness (crm cluster join --witness).",
	}}, nil
}

// settle writes a new member's files, the identity last: with it the node is in the cluster.
func (d *Dir) settle(id Identity, t Trust, certDER []byte, key *ecdsa.PrivateKey, caKey Secret) error {
	if err := d.write(fileTrust, t.encode()); err != nil {
		return err
	}
	d.trust = t
	if err := d.setCertificate(certDER, key); err != nil {
		return err
	}
	if caKey != nil {
		if err := d.setCAKey(caKey); err != nil {
			return err
		}
	}
	if err := d.writeJSON(fileIdentity, id); err != nil {
		return err
	}
	d.identity = id
	return nil
}

// makeDir makes the directory of a node that is in no cluster yet, and clears
// away what a cluster it left has left.
func makeDir(path string) (*Dir, error) {
	d := &Dir{path: path}
	switch _, err := os.Lstat(d.file(fileIdentity)); {
	case err == nil:
		return nil, refuse(api.CodeExists, "%s holds a cluster already: \"crm cluster leave\" takes this node out of it", path)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("look into %s: %w", path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, full(fmt.Errorf("make %s: %w", path, err))
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return nil, fmt.Errorf("make %s private: %w", path, err)
	}
	if _, err := os.Lstat(d.file(fileLeft)); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(d.StorePath()); err == nil {
			return nil, refuse(api.CodeExists, "%s holds a store although no identity is there: its files may be the only copy of a cluster's CIB; move %s away first", path, d.StorePath())
		}
	}
	if err := os.RemoveAll(d.StorePath()); err != nil {
		return nil, fmt.Errorf("clear away the store of the cluster this node left: %w", err)
	}
	if err := os.Remove(d.file(fileLeft)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return d, nil
}

func checkNode(name, addr string) error {
	if err := CheckName(name); err != nil {
		return refuse(api.CodeUsage, "node name: %v", err)
	}
	a, err := netip.ParseAddrPort(addr)
	if err != nil || a.Port() == 0 || a.Addr().IsUnspecified() {
		return refuse(api.CodeUsage, "address %q: give the ip:port at which other nodes reach this one, such as 192.168.1.11:%d", addr, DefaultPort)
	}
	return nil
}

// firstCIB is the configuration a cluster begins with: its name and its node.
func firstCIB(clusterName, node string) []byte {
	const set = "cib-bootstrap-options"
	property := func(name, value string) *cib.Element {
		return cib.New("nvpair", "id", set+"-"+name, "name", name, "value", value)
	}
	root := cib.Empty().Root().With("epoch", "1")
	return root.WithChildren(
		cib.New("configuration").WithChildren(
			cib.New("crm_config").WithChildren(
				cib.New("cluster_property_set", "id", set).WithChildren(
					property("cluster-name", clusterName),
					property("cluster-infrastructure", "systole"))),
			cib.New("nodes").WithChildren(cib.New("node", "id", "1", "uname", node)),
			cib.New("resources"),
			cib.New("constraints")),
		cib.New("status")).AppendXML(nil)
}

package cluster

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"systole/crm/cib"
	"systole/crm/exit"
)

// A backup holds what cannot be made again: the CIB. Certificates and keys are
// not in it. A cluster that is restored gets new ones, so that no node of the old
// cluster, should one turn up, is believed by the new; and so the file needs no
// more care than the passwords in the CIB itself.

// manifest describes a backup.
type manifest struct {
	Format  int       `json:"format"`
	Cluster string    `json:"cluster"`
	Node    string    `json:"node"` // that made it
	Made    time.Time `json:"made"`
}

const (
	backupFormat   = 1
	backupManifest = "manifest.json"
	backupCIB      = "cib.xml"
	maxBackup      = 64 << 20 // uncompressed
)

// backup answers [Admin.Backup].
func (s *Server) backup(ctx context.Context, _ struct{}) (backupReply, error) {
	xml, err := s.o.Host.CIB(ctx)
	if err != nil {
		return backupReply{}, err
	}
	id := s.o.Dir.Identity()
	b, err := archive(manifest{backupFormat, id.Cluster, id.Node, s.o.Now().UTC().Truncate(time.Second)}, xml)
	return backupReply{b}, err
}

func archive(m manifest, xml []byte) ([]byte, error) {
	head, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	for _, f := range []struct {
		name string
		data []byte
	}{{backupManifest, head}, {backupCIB, xml}} {
		h := &tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data)), ModTime: m.Made}
		if err := t.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
		if _, err := t.Write(f.data); err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return out.Bytes(), nil
}

// unpack reads an archive.
func unpack(r io.Reader) (m manifest, doc *cib.Element, err error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return m, nil, fmt.Errorf("backup: %w", err)
	}
	files := map[string][]byte{}
	bounded := io.LimitReader(z, maxBackup)
	for t := tar.NewReader(bounded); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return m, nil, fmt.Errorf("backup: %w", err)
		}
		if files[h.Name], err = io.ReadAll(t); err != nil {
			return m, nil, fmt.Errorf("backup: %s: %w", h.Name, err)
		}
	}
	if _, err := io.Copy(io.Discard, bounded); err != nil { // the check sum of gzip is at its end
		return m, nil, fmt.Errorf("backup: %w", err)
	}
	if err := json.Unmarshal(files[backupManifest], &m); err != nil {
		return m, nil, fmt.Errorf("backup: %s: %w", backupManifest, err)
	}
	if m.Format != backupFormat {
		return m, nil, fmt.Errorf("backup: format %d is not known to this release", m.Format)
	}
	doc, err = cib.Parse(files[backupCIB])
	if err != nil {
		return m, nil, fmt.Errorf("backup: %s: %w", backupCIB, err)
	}
	if doc.Name() != "cib" || doc.Child("configuration") == nil {
		return m, nil, fmt.Errorf("backup: %s holds no configuration", backupCIB)
	}
	return m, doc, nil
}

// RestoreOptions of [Restore].
type RestoreOptions struct {
	Dir  string // must hold no cluster
	Addr string // "ip:port" others reach this node at
	Node string // this node's name
	User string // who does it, for the audit record
	Now  time.Time
}

// Restore makes, from a backup, a cluster of this one node with the backup's
// name and configuration, and new certificates and keys; the other nodes join
// again. The status section is left behind: what runs where is found by probing.
func Restore(r io.Reader, o RestoreOptions) (Report, error) {
	m, doc, err := unpack(r)
	if err != nil {
		return Report{}, refuse(int(exit.DataErr), "%v", err)
	}
	if err := CheckName(m.Cluster); err != nil {
		return Report{}, refuse(int(exit.DataErr), "backup: cluster name: %v", err)
	}
	doc, others := alone(doc, o.Node)
	report, err := begin(InitOptions{
		Dir: o.Dir, Cluster: m.Cluster, Node: o.Node, Addr: o.Addr, User: o.User, Now: o.Now,
	}, doc.AppendXML(nil), "restore")
	if err != nil {
		return report, err
	}
	report.Done = append([]string{fmt.Sprintf("The configuration is that of %s, saved on node %s.", m.Made.Format(time.RFC3339), m.Node)}, report.Done...)
	for _, n := range others {
		report.Done = append(report.Done, fmt.Sprintf("Node %s joins again with a new token (its cluster directory must be emptied first).", n))
	}
	return report, nil
}

// alone is a CIB for a cluster of one node: the others are left out and named.
// A node that was in it keeps its id and attributes.
func alone(doc *cib.Element, node string) (*cib.Element, []string) {
	var others []string
	self := cib.New("node", "id", "1", "uname", node)
	for n := range doc.Path("configuration", "nodes").Each("node") {
		if n.Get("uname") == node {
			self = n
			continue
		}
		others = append(others, n.Get("uname"))
	}
	nodes := cib.New("nodes").WithChildren(self)
	conf := doc.Child("configuration")
	kept := slices.DeleteFunc(slices.Clone(conf.Children()), func(e *cib.Element) bool { return e.Name() == "nodes" })
	return doc.WithChildren(conf.WithChildren(append(kept, nodes)...), cib.New("status")), others
}

// hello answers anyone of the cluster who asks whether this node lives.
func (s *Server) hello(context.Context, struct{}) (helloReply, error) {
	dc, _ := s.o.Host.DC()
	return helloReply{s.o.Dir.Identity().Node, dc}, nil
}

type helloReply struct {
	Node string `json:"node"`
	DC   string `json:"dc"`
}

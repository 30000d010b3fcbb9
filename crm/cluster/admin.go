package cluster

import (
	"context"
	"io"
	"time"

	"systole/crm/api"
)

// Admin administers the cluster of a running daemon; it is a thin client of
// [Server.AdminHandler]. Errors are *[api.Error] with the exit status to end with.
type Admin struct{ API *api.Client }

// TokenRequest asks for a join token.
type TokenRequest struct {
	// ValidSeconds until it expires; 0 means DefaultTokenLife, at most MaxTokenLife.
	ValidSeconds int `json:"valid_seconds,omitempty"`
}

// The life of a join token: long enough to walk to the other machine.
const (
	DefaultTokenLife = 30 * time.Minute
	MaxTokenLife     = 24 * time.Hour
)

// TokenReply is a new token. It is a secret: print it once, nowhere else.
type TokenReply struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// RemoveRequest names a node to take out of the cluster.
type RemoveRequest struct {
	Node string `json:"node"`
	// Force removes a node that is online: it then stops its resources when its lease ends.
	Force bool `json:"force,omitempty"`
	// Distrust also replaces CA and cluster key, because the node may have kept copies.
	Distrust bool `json:"distrust,omitempty"`
}

// RotateRequest asks for a new cluster key.
type RotateRequest struct {
	// CA replaces the CA and every certificate too.
	CA bool `json:"ca,omitempty"`
	// Force goes on although some nodes do not answer; they fetch the new keys when they return.
	Force bool `json:"force,omitempty"`
}

// Report lists what was done, one sentence each, in order.
type Report struct {
	Done []string `json:"done"`
}

// Status is the administration's part of "crm cluster status".
type Status struct {
	Cluster    string    `json:"cluster"`
	ClusterID  string    `json:"cluster_id"`
	Node       string    `json:"node"`
	DC         string    `json:"dc"`      // "" while there is none
	Members    []Member  `json:"members"` // by name
	Voters     int       `json:"voters"`
	Majority   int       `json:"majority"`
	Online     int       `json:"voters_online"`
	CertEnds   time.Time `json:"certificate_ends"` // of the answering node
	CAEnds     time.Time `json:"ca_ends"`
	KeyAge     int       `json:"key_age_days"`
	Generation uint64    `json:"trust_generation"`
	HasCAKey   bool      `json:"has_ca_key"`
	Warnings   []string  `json:"warnings,omitempty"` // whole sentences with their remedy
}

// Token makes a one-time token for one more node.
func (a Admin) Token(ctx context.Context, r TokenRequest) (TokenReply, error) {
	return call[TokenReply](ctx, a.API, pathToken, r)
}

// Status asks the answering node.
func (a Admin) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, a.API, pathStatus, struct{}{})
}

// Leave drains the answering node, takes it out of the cluster and ends its daemon.
func (a Admin) Leave(ctx context.Context) (Report, error) {
	return call[Report](ctx, a.API, pathLeave, struct{}{})
}

// Remove takes another node out of the cluster.
func (a Admin) Remove(ctx context.Context, r RemoveRequest) (Report, error) {
	return call[Report](ctx, a.API, pathRemove, r)
}

// RotateKeys replaces the cluster key on all nodes without a pause.
func (a Admin) RotateKeys(ctx context.Context, r RotateRequest) (Report, error) {
	return call[Report](ctx, a.API, pathRotate, r)
}

// Backup writes an archive for [Restore] to w. It holds the cluster's secrets.
func (a Admin) Backup(ctx context.Context, w io.Writer) error {
	reply, err := call[backupReply](ctx, a.API, pathBackup, struct{}{})
	if err != nil {
		return err
	}
	_, err = w.Write(reply.Archive)
	return err
}

// backupReply carries the archive through JSON; it is a few hundred KiB.
type backupReply struct {
	Archive []byte `json:"archive"`
}

// The administration's paths, below api.PathCluster; all POST.
const (
	pathToken  = api.PathCluster + "token"
	pathStatus = api.PathCluster + "status"
	pathLeave  = api.PathCluster + "leave"
	pathRemove = api.PathCluster + "remove"
	pathRotate = api.PathCluster + "rotate-keys"
	pathBackup = api.PathCluster + "backup"
)

func call[Out any](ctx context.Context, c *api.Client, path string, in any) (Out, error) {
	var out Out
	err := c.Do(ctx, "POST", path, in, &out)
	return out, err
}

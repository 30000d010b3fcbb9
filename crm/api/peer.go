package api

import (
	"context"
	"net"
	"net/http"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
)

// Peer is who asks. On the local socket the kernel vouches for UID and GID; on
// the node port the certificate vouches for Node, and Node vouches for User.
type Peer struct {
	User string // login name, or the number where there is none
	UID  int    // -1 for a node
	GID  int
	Node string // the other node's name, empty on the local socket
}

// userHeader carries the original user's name when a node passes a request on.
// It is believed only from a verified node.
const userHeader = "X-Systole-User"

type peerKey struct{}

// PeerFrom is who asked, the zero Peer outside a request.
func PeerFrom(ctx context.Context) Peer {
	p, _ := ctx.Value(peerKey{}).(Peer)
	return p
}

// WithPeer marks a context as asked by p: the daemon's own requests, and tests.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// ConnContext is http.Server.ConnContext: it finds out who is at the other end
// of a new connection, once. A connection that says nothing of its peer gets
// UID -1 and no node, which [Access] refuses.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if n, ok := c.(interface{ PeerName() string }); ok {
		return WithPeer(ctx, Peer{UID: -1, GID: -1, Node: n.PeerName()})
	}
	peer := Peer{UID: -1, GID: -1}
	if u, ok := c.(*net.UnixConn); ok {
		if raw, err := u.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
					peer.UID, peer.GID = int(cred.Uid), int(cred.Gid)
				}
			})
		}
	}
	peer.User = userName(peer.UID)
	return WithPeer(ctx, peer)
}

// Access says which local users may use the socket. Other nodes always may:
// their certificate is the permission.
type Access struct {
	// UID is the daemon's own user, allowed beside root.
	UID int
	// Group is the name of the group whose members are allowed ("haclient");
	// empty or unknown means none.
	Group string
	// Lists says whether access lists are in force (enable-acl); nil is never. They
	// are kept and not evaluated, so all whom a list could limit are then refused:
	// everybody but root, the daemon's user and hacluster.
	Lists func() bool
}

// listed says whether access lists would have to decide about a peer.
func (a Access) listed(p Peer) bool {
	return a.Lists != nil && p.Node == "" && p.UID != 0 && p.UID != a.UID && p.User != "hacluster" && a.Lists()
}

// Allows decides for a peer. Group membership is read from the system at each
// connection's first request, so a change needs no restart.
func (a Access) Allows(p Peer) bool {
	switch {
	case p.Node != "":
		return true
	case p.UID < 0:
		return false
	case p.UID == 0 || p.UID == a.UID:
		return true
	case a.Group == "":
		return false
	}
	g, err := user.LookupGroup(a.Group)
	if err != nil {
		return false
	}
	if g.Gid == strconv.Itoa(p.GID) {
		return true
	}
	u, err := user.LookupId(strconv.Itoa(p.UID))
	if err != nil {
		return false
	}
	ids, err := u.GroupIds()
	if err != nil {
		return false
	}
	for _, id := range ids {
		if id == g.Gid {
			return true
		}
	}
	return false
}

func userName(uid int) string {
	if uid < 0 {
		return ""
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

// asked is the request's peer, with the user a node vouches for.
func asked(r *http.Request) Peer {
	p := PeerFrom(r.Context())
	if p.Node != "" {
		p.User = r.Header.Get(userHeader)
	}
	return p
}

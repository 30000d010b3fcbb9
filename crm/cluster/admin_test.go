package cluster

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"systole/crm/api"
)

// admin is a client of a node's API, as a local user with this uid.
func (n *testNode) admin(t *testing.T, uid int) Admin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := api.Handler{Backend: api.NewClient("nowhere"), Access: api.Access{UID: uid}, Cluster: n.server.AdminHandler(), Log: slog.New(slog.DiscardHandler)}
	srv := &http.Server{Handler: h.Routes(), ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return api.WithPeer(ctx, api.Peer{User: "someone", UID: uid})
	}}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return Admin{api.NewClientDialer("test", func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	})}
}

func TestAdminThroughTheAPI(t *testing.T) {
	w, _, b, _ := three(t)
	root := b.admin(t, 0)
	st, err := root.Status(t.Context())
	if err != nil || st.Node != "n2" || st.DC != "n1" || len(st.Members) != 3 {
		t.Errorf("status: %+v, %v", st, err)
	}
	tk, err := root.Token(t.Context(), TokenRequest{ValidSeconds: 60})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.tryJoin("n4", b, tk.Token); err != nil {
		t.Errorf("join with its token: %v", err)
	}
	if r, err := root.RotateKeys(t.Context(), RotateRequest{}); err != nil || len(r.Done) != 1 {
		t.Errorf("rotate-keys: %v, %v", r, err)
	}
	var backup bytes.Buffer
	if err := root.Backup(t.Context(), &backup); err != nil {
		t.Error(err)
	}
	if _, _, err := unpack(&backup); err != nil {
		t.Error(err)
	}
	_, err = root.Remove(t.Context(), RemoveRequest{Node: "n9"})
	wantRefusal(t, err, api.CodeNoSuch, "there is no node n9")
	if r, err := root.Leave(t.Context()); err != nil || !strings.Contains(strings.Join(r.Done, " "), "Node n2 runs nothing") {
		t.Errorf("leave: %v, %v", r, err)
	}
}

// A member of the daemon's group sees the cluster and changes nothing of it.
func TestOnlyRootAdministers(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	group := a.admin(t, 12345)
	if _, err := group.Status(t.Context()); err != nil {
		t.Errorf("status: %v", err)
	}
	_, err := group.Token(t.Context(), TokenRequest{})
	wantRefusal(t, err, api.CodePrivilege, "user someone may not change the cluster")
	_, err = group.RotateKeys(t.Context(), RotateRequest{})
	wantRefusal(t, err, api.CodePrivilege, "run as root")
}

func TestRunStopsWithItsContext(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.server.Run(ctx) }()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestReadToken(t *testing.T) {
	good := newToken("n1", [32]byte{1}).text()
	for in, ok := range map[string]bool{good: true, good + "\n": true, " " + good + " \nrest": true, "": false, "x\n": false} {
		got, err := ReadToken(strings.NewReader(in))
		if (err == nil) != ok || ok && got != good {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

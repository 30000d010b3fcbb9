package cluster

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"systole/crm/transport"
)

func FuzzParseToken(f *testing.F) {
	good := newToken("n1", transport.Fingerprint{1}).text()
	f.Add(good)
	f.Add(" " + good + "\n")
	f.Add(good[:20])
	f.Add(tokenPrefix)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		tk, err := parseToken(text)
		if err != nil {
			if s := strings.TrimSpace(text); len(s) > 20 && strings.Contains(err.Error(), s) {
				t.Fatalf("the error repeats the token: %v", err)
			}
			return
		}
		if got := tk.text(); got != strings.TrimSpace(text) {
			t.Fatalf("parse and print: %q became %q", text, got)
		}
	})
}

func FuzzParseTrust(f *testing.F) {
	now := time.Now()
	ca, err := newAuthority("c", now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(Trust{ClusterID: "x", Generation: 1, Keys: []Secret{random(32)}, Authorities: [][]byte{ca.cert.Raw}}.revoking("n2").encode())
	f.Add([]byte(`{"cluster_id":"x","keys":["AA=="],"authorities":["AA=="]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := parseTrust(b)
		if err != nil {
			return
		}
		again, err := parseTrust(tr.encode())
		if err != nil || !bytes.Equal(again.encode(), tr.encode()) {
			t.Fatalf("round trip: %v", err)
		}
		if next := tr.next(); !next.newerThan(tr) && tr.Generation+1 != 0 {
			t.Fatal("the next generation is not newer")
		}
	})
}

// FuzzJoinRequest sends bodies to the join handler, the only one that hears
// machines without a certificate: it answers every one with an error and keeps
// its tokens.
func FuzzJoinRequest(f *testing.F) {
	path := f.TempDir()
	now := time.Now()
	if _, err := Init(InitOptions{Dir: path, Cluster: "c", Node: "n1", Addr: "10.0.0.1:7737", Now: now}); err != nil {
		f.Fatal(err)
	}
	dir, err := OpenDir(path)
	if err != nil {
		f.Fatal(err)
	}
	if _, _, err := dir.issueToken(now, time.Hour); err != nil {
		f.Fatal(err)
	}
	w := &world{members: map[string]Member{"n1": {Name: "n1", Addr: "10.0.0.1:7737"}}, dc: "n1"}
	s := NewServer(ServerOptions{Dir: dir, Host: (*testHost)(&testNode{world: w, name: "n1"}), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	h := s.JoinHandler()

	good := joinRequest{TokenID: dir.tokens[0].ID, Secret: random(16), Issuer: "n1", Node: "n2", Addr: "10.0.0.2:7737", Protocol: Protocol, Now: now}
	seed, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"protocol":1,"node":"../x"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, joinPath, bytes.NewReader(body)))
		if rec.Code == http.StatusOK {
			t.Fatalf("answered %s", rec.Body)
		}
		if _, err := io.ReadAll(rec.Body); err != nil || dir.tokens[0].UsedBy != "" {
			t.Fatalf("token used by %q, %v", dir.tokens[0].UsedBy, err)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	b, err := archive(manifest{Format: backupFormat, Cluster: "c"}, []byte("<cib><configuration><nodes><node uname='x'/></nodes></configuration></cib>"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, doc, err := unpack(bytes.NewReader(b)); err == nil {
			alone(doc, "n1")
		}
	})
}

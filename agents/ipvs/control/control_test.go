package control

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAsk(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", Socket(dir, "r"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go Serve(conn, func(r Request) Answer {
				if r.Do == Drain {
					return Answer{Error: "no server " + r.Server}
				}
				return Answer{Status: &Status{Resource: "r", Role: r.Role}}
			})
		}
	}()
	st, err := Ask(t.Context(), Socket(dir, "r"), Request{Do: SetRole, Role: Active, Wait: time.Second})
	if err != nil || st.Role != Active || st.Resource != "r" {
		t.Errorf("%+v, %v", st, err)
	}
	if _, err := Ask(t.Context(), Socket(dir, "r"), Request{Do: Drain, Server: "x"}); err == nil || err.Error() != "no server x" {
		t.Errorf("a refusal: %v", err)
	}
	if _, err := Ask(t.Context(), Socket(dir, "other"), Request{Do: Show}); !errors.Is(err, ErrNoProcess) {
		t.Errorf("nobody there: %v", err)
	}
	if got := Resources(dir); !slices.Equal(got, []string{"r"}) {
		t.Errorf("resources %v", got)
	}
	conn, err := net.Dial("unix", Socket(dir, "r"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("nonsense\n"))
	buf := make([]byte, 200)
	n, _ := conn.Read(buf)
	if !strings.Contains(string(buf[:n]), "not a request") {
		t.Errorf("nonsense was answered by %q", buf[:n])
	}
}

// A process that hangs does not hang who asks.
func TestAskSilence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Ask(ctx, path, Request{Do: Show}); err == nil {
		t.Error("silence is an answer")
	}
}

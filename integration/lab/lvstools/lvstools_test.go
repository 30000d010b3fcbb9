package lvstools

import (
	"context"
	"testing"
	"time"

	"systole/integration/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestLab(t *testing.T) {
	l := lab.New(t)
	a := l.Node("a")
	must(t, l.Boot(t.Context()))
	t.Run("doctor", func(t *testing.T) { theDoctor(t, l, a) })
	t.Run("ipvsadm", func(t *testing.T) { ipvsadmAlike(t, l, a) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shell runs a script that must succeed.
func shell(t *testing.T, n *lab.Node, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := n.Shell(ctx, script)
	must(t, err)
	return out
}

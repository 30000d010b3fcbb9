package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"systole/agents"
)

// runAgent runs this binary as what agents start (a child process), or as the
// native agent it is linked as: /usr/lib/ocf/resource.d/systole/IPaddr2 and so
// on. ok is false when it is neither.
func runAgent(ctx context.Context, argv []string) (code int, ok bool) {
	if ran, code := agents.RunChild(); ran {
		return code, true
	}
	name := filepath.Base(argv[0])
	if !slices.Contains(agents.Native(), name) {
		return 0, false
	}
	return agents.Main(ctx, name, argv[1:], os.Environ(), os.Stdout, os.Stderr), true
}

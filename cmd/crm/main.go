// Command crm is the multi-call binary: the shell `crm`, the Pacemaker-named
// tools, and the native agents as OCF scripts, chosen by the name it is called
// by. `crm tool NAME …` runs one of them without a link.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"systole/agents"
	"systole/crm/shell/tool"
)

func main() {
	if ran, code := agents.RunChild(); ran { // one of the small processes of native agents
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, agent := runAgent(ctx, os.Args)
	if !agent {
		code = run(ctx, os.Args)
	}
	stop()
	os.Exit(code)
}

// run chooses the tool by the base name of argv[0].
func run(ctx context.Context, argv []string) int {
	name := filepath.Base(argv[0])
	args := argv[1:]
	if name == "crm" && len(args) > 0 && args[0] == "tool" {
		if len(args) == 1 {
			for _, n := range slices.Sorted(maps.Keys(programs)) {
				fmt.Println(n)
			}
			return 0
		}
		name, args = args[1], args[2:]
	}
	stdio := tool.OS(name)
	t := programs[name]
	switch {
	case t != nil:
		return t(ctx, stdio, args)
	case slices.Contains(agents.Native(), name):
		return agents.Main(ctx, name, args, os.Environ(), stdio.Out, stdio.Err)
	default:
		fmt.Fprintf(stdio.Err, "%s: unknown tool; call this binary as crm or as one of the names `crm tool` lists\n", name)
	}
	return exitUsage
}

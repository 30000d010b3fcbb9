// Command guest is what the lab runs inside its nodes: the agent that carries
// out the harness's commands, and, called by the name fence_lab, a fence agent
// whose power switch is the harness. It is built without cgo and runs from the
// shared directory.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if filepath.Base(os.Args[0]) == fenceName {
		os.Exit(fence(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: guest TTY")
		os.Exit(64)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

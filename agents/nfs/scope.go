package nfs

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"systole/agents/process"
)

// ChildName is what the environment variable of agents.RunChild says in the child
// that becomes rpc.nfsd.
const ChildName = "nfsd"

const envScope = "SYSTOLE_NFSD_SCOPE"

// nfsd runs rpc.nfsd. The kernel takes the server's scope from the host name whoever
// starts it has; so with a scope it is started under that name, in a child with a
// name of its own (UTS namespace).
func (a *Server) nfsd(ctx context.Context, scope string, args ...string) error {
	c := process.Command{Path: tool("rpc.nfsd"), Args: args, Env: environment}
	if scope != "" {
		c.Path = a.self
		c.Env = append([]string{"SYSTOLE_CHILD=" + ChildName, envScope + "=" + scope}, environment...)
	}
	exit, err := process.Run(ctx, c)
	return verdict("rpc.nfsd", args, exit, err)
}

// Child takes the scope as its host name and becomes rpc.nfsd; it returns only if it
// cannot.
func Child() int {
	runtime.LockOSThread() // the name is the thread's
	err := unix.Unshare(unix.CLONE_NEWUTS)
	if err == nil {
		err = unix.Sethostname([]byte(os.Getenv(envScope)))
	}
	if err == nil {
		path := tool("rpc.nfsd")
		err = syscall.Exec(path, append([]string{path}, os.Args[1:]...), environment)
	}
	fmt.Fprintf(os.Stderr, "start under the name %s: %v\n", os.Getenv(envScope), err)
	return 1
}

package nfs

import (
	"context"
	"net"

	"systole/agents/process"
)

// rpcbindSocket is where rpcbind listens.
const rpcbindSocket = "/run/rpcbind.sock"

// beginV3 starts what NFS 3 needs before the server.
func (a *Server) beginV3(ctx context.Context, s server) error {
	if conn, err := net.Dial("unix", rpcbindSocket); err == nil {
		conn.Close()
	} else if err := spawn(ctx, "rpcbind", holds("socket:"), "-f", "-w"); err != nil {
		return err
	}
	args := []string{"-F", "-L"}
	if len(s.ips) > 0 {
		args = append(args, "-n", s.ips[0])
	}
	return spawn(ctx, "rpc.statd", holds("socket:"), args...)
}

// notifyV3 tells the clients that had locks of the restart, in the name of each address.
func (a *Server) notifyV3(ctx context.Context, s server) error {
	ips := s.ips
	if len(ips) == 0 {
		ips = []string{""}
	}
	for _, ip := range ips {
		args := []string{"-f", "-d"} // again since this boot, in the foreground
		if ip != "" {
			args = append(args, "-v", ip)
		}
		if s.retry != "" {
			args = append(args, "-m", s.retry)
		}
		if s.wait {
			if err := run(ctx, "sm-notify", args...); err != nil {
				return err
			}
		} else if _, err := process.Spawn(process.Command{Path: tool("sm-notify"), Args: args, Env: environment}); err != nil {
			return err
		}
	}
	return nil
}

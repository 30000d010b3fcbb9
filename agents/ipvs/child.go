package ipvs

import (
	"context"
	"fmt"
	"log/slog"
	"log/syslog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"systole/agents/ipvs/control"
	"systole/agents/ipvs/kernel"
)

// ChildName is what the environment variable of agents.RunChild says in a
// director's process.
const ChildName = "ipvs"

const (
	envResource = "SYSTOLE_IPVS_RESOURCE"
	envDir      = "SYSTOLE_IPVS_DIR" // also by what the agent knows its process
	envAgain    = "SYSTOLE_IPVS_AGAIN"
)

// Child is the director's process. It listens on descriptor 3. On TERM it ends
// and leaves everything as it is. It returns the exit status.
func Child() int {
	log := childLog()
	if err := child(log); err != nil {
		log.Error(err.Error())
		fmt.Fprintln(os.Stderr, "ipvs:", err)
		return 1
	}
	return 0
}

func child(log *slog.Logger) error {
	resource, dir := os.Getenv(envResource), os.Getenv(envDir)
	listener, err := net.FileListener(os.NewFile(3, "ipvs.sock"))
	if err != nil {
		return err
	}
	defer listener.Close()
	handle, err := kernel.Open()
	if err != nil {
		return err
	}
	defer handle.Close()
	path := control.Record(dir, resource)
	k := newKeeper(resource, path, handle, log.With("rsc", resource))
	k.synced, k.connections = kernel.CountSynced, kernel.Connections
	r, err := readRecord(path)
	if err != nil {
		return err
	}
	if r != nil {
		k.record = *r
	}
	if os.Getenv(envAgain) != "" {
		k.record.Respawned = time.Now()
		k.events.add("the process had died; it was started again")
		if err := k.record.write(path); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go accept(listener, k.requests)
	if err := k.run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// accept serves connections; all end with the process.
func accept(listener net.Listener, requests chan<- request) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go control.Serve(conn, func(r control.Request) control.Answer {
			answer := make(chan control.Answer, 1)
			requests <- request{r, answer}
			return <-answer
		})
	}
}

// childLog is the system's log, where there is one.
func childLog() *slog.Logger {
	w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "systole-ipvs")
	if err != nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{} // the log has its own
		}
		return a
	}}))
}

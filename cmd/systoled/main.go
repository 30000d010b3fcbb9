// Command systoled is the daemon of a Systole node: it reads the configuration
// and the cluster directory, opens the network, the store and the local socket,
// and runs crm/node with them.
//
// SIGTERM makes the node leave in good order: its resources move away first.
// SIGHUP prepares a restart: the DC grants the time, resources go on running,
// and the daemon ends. A second signal ends it at once, as kill -9 would.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"systole/agents"
	"systole/conf"
	"systole/crm/cluster"
	"systole/crm/exit"
)

func main() {
	if ran, code := agents.RunChild(); ran { // one of the small processes of native agents
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("systoled", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", envOr("SYSTOLE_CONF", conf.Path), "configuration `file`; none is like an empty one")
	witness := flags.Bool("witness", false, "vote and run nothing (also: witness = yes in the configuration)")
	format := flags.String("log-format", "", "text or json; text on a terminal and json elsewhere unless given")
	version := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return int(exit.OK)
	case err != nil || flags.NArg() > 0:
		return int(exit.Usage)
	}
	if *version {
		fmt.Fprintln(stdout, "systoled", programVersion())
		return int(exit.OK)
	}
	cfg, err := conf.Load(*path)
	if err != nil {
		fmt.Fprintln(stderr, "systoled:", err)
		return int(exit.Config)
	}
	if err := conf.Preflight(cfg); err != nil {
		fmt.Fprintln(stderr, "systoled:", err)
		return int(exit.Config)
	}
	cfg.Witness = cfg.Witness || *witness
	log := newLog(stderr, *format, cfg.LogLevel)

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	d := daemon{conf: cfg, log: log, signals: signals}
	switch err := d.run(context.Background()); {
	case err == nil:
		return int(exit.OK)
	case errors.Is(err, cluster.ErrNoCluster):
		fmt.Fprintln(stderr, "systoled:", err)
		return int(exit.Config)
	default:
		log.Error("the daemon ends", "err", err)
		return int(exit.Of(err))
	}
}

// newLog makes the log; its keys are the project's (see DESIGN.md).
func newLog(w io.Writer, format string, level slog.Level) *slog.Logger {
	if format == "" {
		format = "json"
		if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			format = "text"
		}
	}
	o := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// programVersion is the version Git stamped into the binary.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return info.Main.Version
}
